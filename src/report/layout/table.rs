//! Tables with aligned columns.

use anstyle::Style;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, ContentLineStyle, Row, TableStyle, Width};
use textwrap::core::display_width;

use super::super::style::{DIM, paint};
use super::super::words::line;
use super::fit::{Fit, INDENT, Span, blocks, fit, narrowest, natural};
use super::wrap::hanging;

/// Stands between two columns while comfy-table aligns them, because it measures text with ANSI codes only together with all of
/// crossterm; the styles are added column by column afterwards. No cell contains control characters.
const SEPARATOR: char = '\u{1f}';

/// A cell of a table.
#[derive(Debug, Clone)]
pub(in crate::report) struct Cell {
    text: String,
    short: Option<&'static str>,
    style: Style,
    is_missing: bool,
}

impl Cell {
    pub(in crate::report) fn styled(style: Style, text: impl Into<String>) -> Self {
        // The text may be foreign, such as the name of a worker.
        Self { text: line(&text.into(), usize::MAX), short: None, style, is_missing: false }
    }

    pub(in crate::report) fn number(number: impl std::fmt::Display) -> Self {
        number.to_string().into()
    }

    /// A value that does not exist, shown as `mark`. A column without any other value is not shown.
    pub(in crate::report) fn missing(mark: &str) -> Self {
        Self { is_missing: true, ..mark.into() }
    }

    pub(in crate::report) fn in_style(self, style: Style) -> Self {
        Self { style, ..self }
    }

    /// Replaces the text if the table is too wide.
    pub(in crate::report) fn or(self, short: &'static str) -> Self {
        Self { short: Some(short), ..self }
    }

    fn text(&self, is_short: bool) -> &str {
        self.short.filter(|_| is_short).unwrap_or(&self.text)
    }

    fn width(&self, is_short: bool) -> usize {
        display_width(self.text(is_short))
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self::styled(Style::new(), text)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Aligned to the right and never cut.
    Number,
    /// Never cut.
    Whole,
    /// Cut at the end.
    Cut,
    /// Cut in the middle: the end of a name often holds the version.
    Name,
}

/// A column of a table.
#[derive(Debug, Clone, Copy)]
pub(in crate::report) struct Column {
    heading: &'static str,
    short: Option<&'static str>,
    kind: Kind,
    is_rare: bool,
}

impl Column {
    const fn of(heading: &'static str, kind: Kind) -> Self {
        Self { heading, short: None, kind, is_rare: false }
    }

    pub(in crate::report) const fn number(heading: &'static str) -> Self {
        Self::of(heading, Kind::Number)
    }

    /// Text that is useless if it is not complete, such as a time.
    pub(in crate::report) const fn whole(heading: &'static str) -> Self {
        Self::of(heading, Kind::Whole)
    }

    /// Text that is cut at its end if the table is too wide.
    pub(in crate::report) const fn cut(heading: &'static str) -> Self {
        Self::of(heading, Kind::Cut)
    }

    /// Names that are cut in the middle if the table is too wide.
    pub(in crate::report) const fn name(heading: &'static str) -> Self {
        Self::of(heading, Kind::Name)
    }

    /// Replaces the heading if the table is too wide.
    pub(in crate::report) const fn or(self, short: &'static str) -> Self {
        Self { short: Some(short), ..self }
    }

    /// A number that is 0 most of the time; the column is not shown if it is 0 in all rows.
    pub(in crate::report) const fn rare(self) -> Self {
        Self { is_rare: true, ..self }
    }

    fn header(&self) -> Cell {
        Cell { short: self.short, ..Cell::styled(DIM, self.heading) }
    }

    fn is_empty(&self, cell: &Cell) -> bool {
        cell.is_missing || cell.text.is_empty() || (self.is_rare && cell.text == "0")
    }
}

/// Rows under headings. Without any heading, the table has no header.
#[derive(Debug)]
pub(in crate::report) struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    notes: Vec<Cell>,
}

impl Table {
    pub(in crate::report) fn new(columns: &[Column]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new(), notes: Vec::new() }
    }

    pub(in crate::report) fn row(&mut self, cells: impl IntoIterator<Item = Cell>) {
        self.noted(cells, "".into());
    }

    /// A row with a note, which follows the row on its line if all notes fit there, otherwise below the row.
    pub(in crate::report) fn noted(&mut self, cells: impl IntoIterator<Item = Cell>, note: Cell) {
        let cells: Vec<Cell> = cells.into_iter().collect();
        debug_assert_eq!(cells.len(), self.columns.len(), "a row has a cell for each column");
        self.rows.push(cells);
        self.notes.push(note);
    }

    /// The width of the table if nothing is shortened.
    pub(in crate::report) fn width(&self) -> usize {
        let table = self.with_notes_as_column();
        natural(&table.spans(&table.shown()))
    }

    /// The table in at most this width. If it is too narrow for all columns, the table is split into blocks of columns.
    pub(super) fn text(&self, width: usize) -> String {
        let has_notes = self.notes.iter().any(|note| !note.text.is_empty());
        if has_notes && self.width() <= width {
            return self.with_notes_as_column().text(width);
        }
        let shown = self.shown();
        let spans = self.spans(&shown);
        if let Some(fit) = fit(&spans, width) {
            return self.block(&shown, &fit, Some(width));
        }
        let blocks = blocks(&spans, width);
        let count = blocks.len();
        let texts = blocks.iter().enumerate().map(|(place, block)| {
            let spans: Vec<Span> = block.iter().map(|place| spans[*place]).collect();
            let columns: Vec<usize> = block.iter().map(|place| shown[*place]).collect();
            let fit = fit(&spans, width).unwrap_or_else(|| narrowest(&spans));
            self.block(&columns, &fit, Some(width).filter(|_| place + 1 == count))
        });
        texts.collect::<Vec<_>>().join("\n")
    }

    fn with_notes_as_column(&self) -> Self {
        let columns = self.columns.iter().copied().chain([Column::whole("")]).collect();
        let rows = self.rows.iter().zip(&self.notes).map(|(row, note)| row.iter().chain([note]).cloned().collect());
        Self { columns, rows: rows.collect(), notes: vec!["".into(); self.notes.len()] }
    }

    /// The columns in which at least one row has a value; always the first one, which names the rows.
    fn shown(&self) -> Vec<usize> {
        let has_value = |place: &usize| self.rows.iter().any(|row| !self.columns[*place].is_empty(&row[*place]));
        (0..self.columns.len()).filter(|place| *place == 0 || has_value(place)).collect()
    }

    fn spans(&self, shown: &[usize]) -> Vec<Span> {
        let span = |place: &usize| {
            let column = &self.columns[*place];
            let header = column.header();
            let widest = |is_short| {
                let cells = self.rows.iter().map(|row| &row[*place]).chain([&header]);
                cells.map(|cell| cell.width(is_short)).max().unwrap_or(0).max(1)
            };
            let is_cut = matches!(column.kind, Kind::Cut | Kind::Name);
            Span { full: widest(false), short: widest(true), heading: is_cut.then(|| header.width(true)) }
        };
        shown.iter().map(span).collect()
    }

    /// These columns, followed by the notes of each row if `note_width` is given.
    fn block(&self, shown: &[usize], fit: &Fit, note_width: Option<usize>) -> String {
        let headers: Vec<Cell> = shown.iter().map(|place| self.columns[*place].header()).collect();
        let has_header = headers.iter().any(|header| !header.text.is_empty());
        let header = has_header.then(|| headers.iter().collect::<Vec<_>>());
        let rows = self.rows.iter().map(|row| shown.iter().map(|place| &row[*place]).collect::<Vec<_>>());
        let rows: Vec<_> = header.into_iter().chain(rows).collect();
        let mut text = String::new();
        for (place, (line, cells)) in self.aligned(shown, fit, &rows).iter().zip(&rows).enumerate() {
            text.push_str(&painted(line, cells, fit.gap));
            text.push('\n');
            let row = place.checked_sub(usize::from(has_header));
            if let (Some(row), Some(width)) = (row, note_width) {
                let note = &self.notes[row];
                if !note.text.is_empty() {
                    let indent = " ".repeat(INDENT + super::wrap::INDENT);
                    text.push_str(&hanging(&indent, &indent, &paint(note.style, &note.text), width));
                    text.push('\n');
                }
            }
        }
        text
    }

    /// One line for each row, with a separator between two columns.
    fn aligned(&self, shown: &[usize], fit: &Fit, rows: &[Vec<&Cell>]) -> Vec<String> {
        let line_style = ContentLineStyle::none().junction(SEPARATOR);
        let mut table = comfy_table::Table::new();
        table.load_style(TableStyle::new().content_lines(line_style));
        table.set_content_arrangement(ContentArrangement::Disabled);
        for cells in rows {
            let texts = cells.iter().zip(shown).zip(&fit.widths).map(|((cell, place), width)| {
                let text = cell.text(fit.is_short);
                if self.columns[*place].kind == Kind::Name { shortened(text, *width) } else { text.to_owned() }
            });
            let mut row = Row::from(texts.collect::<Vec<_>>());
            row.max_height(1);
            table.add_row(row);
        }
        for ((column, place), width) in table.column_iter_mut().zip(shown).zip(&fit.widths) {
            column.set_padding((0, 0));
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(u16::try_from(*width).unwrap_or(u16::MAX))));
            if self.columns[*place].kind == Kind::Number {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.lines().collect()
    }
}

/// An aligned row with its styles, without blanks at the end.
fn painted(line: &str, cells: &[&Cell], gap: usize) -> String {
    let mut painted = " ".repeat(INDENT);
    for (place, (part, cell)) in line.split(SEPARATOR).zip(cells).enumerate() {
        if place > 0 {
            painted.push_str(&" ".repeat(gap));
        }
        let text = part.trim();
        let before = part.len() - part.trim_start().len();
        painted.push_str(&part[..before]);
        if !text.is_empty() {
            painted.push_str(&paint(cell.style, text));
            painted.push_str(&part[before + text.len()..]);
        }
    }
    painted.truncate(painted.trim_end_matches(' ').len());
    painted
}

/// A name with `…` in its middle, if it is too long.
fn shortened(name: &str, width: usize) -> String {
    let characters: Vec<char> = name.chars().collect();
    // comfy-table cuts names with wide characters, which are rare.
    if characters.len() <= width || width < 3 || display_width(name) != characters.len() {
        return name.to_owned();
    }
    let end = width / 3;
    let start = width - 1 - end;
    characters[..start].iter().chain(['…'].iter()).chain(&characters[characters.len() - end..]).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::style::BAD;
    use super::*;

    fn table() -> Table {
        let columns = [
            Column::name("FLOW"),
            Column::number("COMPLETED").or("DONE"),
            Column::number("CANCELLED").rare(),
            Column::number("P50"),
            Column::cut("FUNCTION"),
        ];
        let mut table = Table::new(&columns);
        let cells = |flow: &str, done: u32, function: &str| {
            [flow.into(), Cell::number(done), Cell::number(0), Cell::missing("-"), function.into()]
        };
        table.row(cells("order_fulfilment@1", 12, "orders"));
        table.row(cells("größe@2", 3, "a worker with a long name"));
        table
    }

    #[test]
    fn columns_are_aligned_and_empty_ones_are_not_shown() {
        assert_eq!(
            plain(&table().text(usize::MAX)),
            "  FLOW                COMPLETED  FUNCTION\n\
             \u{20} order_fulfilment@1         12  orders\n\
             \u{20} größe@2                     3  a worker with a long name\n"
        );
    }

    #[test]
    fn texts_are_cut_at_their_end_and_names_in_the_middle() {
        assert_eq!(
            plain(&table().text(38)),
            "  FLOW            DONE  FUNCTION\n\
             \u{20} order_ful…nt@1    12  orders\n\
             \u{20} größe@2            3  a worker with…\n"
        );
    }

    #[test]
    fn a_table_that_is_too_wide_is_split_into_blocks() {
        let mut table = Table::new(&[Column::name("FLOW"), Column::number("WAITING"), Column::whole("STARTED (UTC)")]);
        table.row(["order@1".into(), Cell::number(3), "2026-11-21 09:47:42".into()]);
        assert_eq!(
            plain(&table.text(32)),
            "  FLOW     WAITING\n\
             \u{20} order@1        3\n\
             \n\
             \u{20} FLOW     STARTED (UTC)\n\
             \u{20} order@1  2026-11-21 09:47:42\n"
        );
    }

    #[test]
    fn notes_follow_their_row_or_stand_below_it() {
        let mut table = Table::new(&[Column::whole("RUN"), Column::whole("STATUS")]);
        table.noted(["95ab".into(), "failed".into()], Cell::styled(DIM, "load: the printer is out of paper"));
        table.row(["96ab".into(), "started".into()]);
        assert_eq!(
            plain(&table.text(usize::MAX)),
            "  RUN   STATUS\n  95ab  failed   load: the printer is out of paper\n  96ab  started\n"
        );
        assert_eq!(
            plain(&table.text(30)),
            "  RUN   STATUS\n  95ab  failed\n      load: the printer is out\n      of paper\n  96ab  started\n"
        );
    }

    #[test]
    fn styles_do_not_change_the_alignment() {
        let mut table = Table::new(&[Column::number("A"), Column::whole("")]);
        table.row([Cell::number(10).in_style(BAD), "x".into()]);
        table.row([Cell::number(1), Cell::styled(BAD, "y")]);
        let text = table.text(usize::MAX);
        assert_eq!(plain(&text), "   A\n  10  x\n   1  y\n");
        assert!(text.contains(&format!("  {BAD}10{BAD:#}  x")), "{text:?}");
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }
}
