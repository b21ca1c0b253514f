//! Steps: boxes with the slug and lines of text.

use std::fmt::Write as _;

use super::text::{BOLD, escaped, mono_width, name_lines, shortened, text_lines, width};
use super::{icons, number};
use crate::graph::layout::{Point, Rect, Size};
use crate::graph::words::{cut, status_class};
use crate::graph::{Icon, Mark, Node, Row};

const NAME_SIZE: f64 = 13.0;
const NAME_LINE: f64 = 17.0;
const ROW_SIZE: f64 = 11.5;
const ROW_LINE: f64 = 17.0;
const ICON: f64 = 12.0;
const PADDING: f64 = 13.0;
/// The most characters of a slug on one line.
const NAME_LETTERS: usize = 26;
/// The most pixels of a line of text.
const ROW_LIMIT: f64 = 215.0;
/// The offset of the boxes behind that of a map step, in pixels.
const STACK: f64 = 8.0;
/// Half the width of the diamond of a conditional step, in pixels.
const DIAMOND: f64 = 10.0;
/// The height of the progress bar including the space above it, in pixels.
const BAR: f64 = 10.0;
/// The most characters of a line in a tooltip, because the length of an error message is unlimited.
const TOOLTIP_LETTERS: usize = 1_000;

/// A step with the size of its box.
pub(super) struct Drawn<'g> {
    node: &'g Node,
    name: Vec<String>,
    rows: Vec<DrawnRow>,
    pub(super) size: Size,
}

/// A line of a box. A continuation of the line above has no icon.
struct DrawnRow {
    of: Icon,
    has_icon: bool,
    text: String,
}

impl<'g> Drawn<'g> {
    pub(super) fn new(node: &'g Node) -> Self {
        let name = name_lines(&node.slug, NAME_LETTERS);
        let rows: Vec<DrawnRow> = node.rows.iter().flat_map(drawn_rows).collect();
        let widest_name = name.iter().map(|line| mono_width(line, NAME_SIZE)).fold(0.0, f64::max);
        let widest_row = rows.iter().map(|row| ICON + 6.0 + width(&row.text, row_size(row.of))).fold(0.0, f64::max);
        let mut size = Size {
            width: (widest_name.max(widest_row) + 2.0 * PADDING).max(96.0).ceil(),
            height: lines(name.len()) * NAME_LINE + lines(rows.len()) * ROW_LINE + 19.0,
        };
        if node.is_map {
            size.width += STACK;
            size.height += STACK;
        }
        if node.is_conditional {
            size.width += 1.5 * DIAMOND;
        }
        if node.progress.is_some() {
            size.height += BAR;
        }
        Self { node, name, rows, size }
    }

    /// Writes the step into its rectangle.
    pub(super) fn draw(&self, svg: &mut String, rect: Rect) {
        let node = self.node;
        let mut classes = vec!["step"];
        classes.extend(node.is_conditional.then_some("conditional"));
        classes.extend((node.mark != Mark::Same).then(|| node.mark.as_str()));
        classes.extend(node.drawn_status().map(status_class));
        let _ = writeln!(
            svg,
            "<g class=\"{}\" transform=\"translate({} {})\">\n<title>{}</title>",
            classes.join(" "),
            number(rect.at.x),
            number(rect.at.y),
            escaped(&tooltip(node))
        );
        let middle = rect.size.height / 2.0;
        let left = if node.is_conditional { DIAMOND } else { 0.0 };
        let stack = if node.is_map { STACK } else { 0.0 };
        let (width, height) = (rect.size.width - left - stack, rect.size.height - stack);
        // From back to front.
        for offset in if node.is_map { [STACK, STACK / 2.0, 0.0].as_slice() } else { &[0.0] } {
            let _ = writeln!(
                svg,
                "<rect class=\"box\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" rx=\"8\"/>",
                number(left + offset),
                number(*offset),
                number(width),
                number(height)
            );
        }
        let mut y = 7.0;
        let x = left + PADDING + if node.is_conditional { DIAMOND / 2.0 } else { 0.0 };
        for line in &self.name {
            y += NAME_LINE;
            let _ = writeln!(
                svg,
                "<text class=\"name\" x=\"{}\" y=\"{}\">{}</text>",
                number(x),
                number(y - 3.0),
                escaped(line)
            );
        }
        y += 2.0;
        for row in &self.rows {
            y += ROW_LINE;
            draw_row(svg, row, x, y);
        }
        if let Some((done, total)) = node.progress {
            draw_bar(svg, done, total, Point { x, y: y + 7.0 }, left + width - PADDING - x);
        }
        if node.is_conditional {
            let _ = writeln!(
                svg,
                "<path class=\"diamond\" d=\"M0 {}l{DIAMOND} -{DIAMOND} {DIAMOND} {DIAMOND} -{DIAMOND} {DIAMOND}z\"/>\
                 <text class=\"diamond-text\" x=\"{DIAMOND}\" y=\"{}\">?</text>",
                number(middle),
                number(middle + 4.0)
            );
        }
        svg.push_str("</g>\n");
    }
}

/// A row in lines that fit. Errors, statuses and marks are the most important, so they can have several lines.
fn drawn_rows(row: &Row) -> Vec<DrawnRow> {
    let of = row.icon;
    let most = match of {
        Icon::Error => 3,
        Icon::Status(_) | Icon::Mark(_) => 2,
        _ => 1,
    };
    let texts = if most == 1 {
        vec![shortened(&row.text, row_size(of), ROW_LIMIT)]
    } else {
        let mut lines = text_lines(&row.text, row_size(of), ROW_LIMIT);
        let is_cut = lines.len() > most;
        lines.truncate(most);
        if let Some(last) = lines.last_mut().filter(|_| is_cut) {
            *last = shortened(&format!("{last} …"), row_size(of), ROW_LIMIT);
        }
        lines
    };
    texts.into_iter().enumerate().map(|(index, text)| DrawnRow { of, has_icon: index == 0, text }).collect()
}

/// The font size by which a row is measured; bold text is wider.
fn row_size(icon: Icon) -> f64 {
    if matches!(icon, Icon::Status(_) | Icon::Mark(_)) { ROW_SIZE * BOLD } else { ROW_SIZE }
}

#[expect(clippy::cast_precision_loss, reason = "a name has a few lines")]
fn lines(count: usize) -> f64 {
    count as f64
}

fn draw_row(svg: &mut String, row: &DrawnRow, x: f64, y: f64) {
    let (icon, text) = match row.of {
        Icon::Status(_) | Icon::Mark(_) => (" status-icon", " status"),
        Icon::Error => (" error-icon", " error"),
        _ => ("", ""),
    };
    if row.has_icon {
        let (x, y, path) = (number(x), number(y - ICON - 1.0), icons::path(row.of));
        let _ = write!(svg, "<path class=\"icon{icon}\" transform=\"translate({x} {y})\" d=\"{path}\"/>");
    }
    let (x, y) = (number(x + ICON + 6.0), number(y - 3.0));
    let _ = writeln!(svg, "<text class=\"row{text}\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(&row.text));
}

fn draw_bar(svg: &mut String, done: u64, total: u64, at: Point, width: f64) {
    #[expect(clippy::cast_precision_loss, reason = "a share of a bar's pixels")]
    let share = if total == 0 { 0.0 } else { done.min(total) as f64 / total as f64 };
    for (class, width) in [("bar", width), ("done", width * share)] {
        let _ = writeln!(
            svg,
            "<rect class=\"{class}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"4\" rx=\"2\"/>",
            number(at.x),
            number(at.y),
            number(width)
        );
    }
}

/// All texts of a step.
fn tooltip(node: &Node) -> String {
    let rows = node.rows.iter().map(|row| row.text.as_str());
    let lines = std::iter::once(node.slug.as_str()).chain(node.description.as_deref()).chain(rows);
    let lines = lines.chain(node.notes.iter().map(String::as_str));
    lines.map(|line| cut(line, TOOLTIP_LETTERS)).collect::<Vec<_>>().join("\n")
}
