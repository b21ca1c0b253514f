//! Tables with aligned columns.

use anstyle::Style;

use super::super::style::{DIM, paint};

/// A cell. Numbers are aligned to the right.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    text: String,
    style: Style,
    is_number: bool,
}

impl Cell {
    pub(super) fn styled(style: Style, text: impl Into<String>) -> Self {
        // The text may be foreign, such as the name of a worker.
        Self { text: super::words::line(&text.into(), usize::MAX), style, is_number: false }
    }

    pub(super) fn number(number: impl std::fmt::Display) -> Self {
        Self { text: number.to_string(), style: Style::new(), is_number: true }
    }

    pub(super) fn in_style(self, style: Style) -> Self {
        Self { style, ..self }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(Style::new(), text)
    }
}

/// A header and rows, with two blanks before each column.
pub(super) fn table(head: &[&str], rows: &[Vec<Cell>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let is_number = |column: usize| rows.first().and_then(|row| row.get(column)).is_some_and(|cell| cell.is_number);
    let head = head.iter().enumerate().map(|(column, text)| Cell {
        text: (*text).to_owned(),
        style: DIM,
        is_number: is_number(column),
    });
    let mut text = line(&head.collect::<Vec<_>>(), &widths);
    for row in rows {
        text.push_str(&line(row, &widths));
    }
    text
}

fn line(cells: &[Cell], widths: &[usize]) -> String {
    let mut line = String::new();
    // Blanks are written only before the next text, so that no line has trailing blanks.
    let mut blanks = 0;
    for (cell, width) in cells.iter().zip(widths) {
        let rest = width - cell.text.chars().count();
        let (before, after) = if cell.is_number { (rest, 0) } else { (0, rest) };
        blanks += 2 + before;
        if !cell.text.is_empty() {
            line.push_str(&" ".repeat(blanks));
            line.push_str(&paint(cell.style, &cell.text));
            blanks = 0;
        } else {
            blanks += cell.text.len();
        }
        blanks += after;
    }
    line + "\n"
}
