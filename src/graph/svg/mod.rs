//! A graph as SVG: one file with its own styles, light and dark, that says everything without colour too.

mod icons;
mod text;

pub(crate) use text::escaped;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use self::text::{BOLD, mono_width, name_lines, shortened, text_lines, width};
use super::layout::{Curve, Layout, Point, Rect, Route, Size, layout};
use super::{Edge, Graph, Icon, Mark, Node, Row};

/// The styles of every picture; a page with several needs them once.
pub const STYLE: &str = include_str!("style.css");

/// How a picture is to be written.
#[derive(Debug, Clone, Copy)]
pub struct Style<'a> {
    /// Begins the ids in it, which must be unique on a page.
    pub id: &'a str,
    /// Whether it stands alone: with its styles, background, title and facts.
    pub alone: bool,
}

/// Around everything.
const MARGIN: f64 = 24.0;
const NAME_SIZE: f64 = 13.0;
const NAME_LINE: f64 = 17.0;
const ROW_SIZE: f64 = 11.5;
const ROW_LINE: f64 = 17.0;
const ICON: f64 = 12.0;
const FACT_SIZE: f64 = 12.5;
const PADDING: f64 = 13.0;
/// Letters of a name on a line.
const NAME_LETTERS: usize = 26;
/// Pixels of a row's text.
const ROW_LIMIT: f64 = 215.0;
/// What lies behind the box of a map, to the right and below.
const STACK: f64 = 8.0;
/// Half of a condition's diamond.
const DIAMOND: f64 = 10.0;
/// Of the bar that shows how many tasks are done, with the space above it.
const BAR: f64 = 10.0;
/// An arrow's head.
const HEAD: f64 = 8.0;
/// Steps that the description for screen readers names.
const NAMED_STEPS: usize = 50;

/// Draws a graph.
pub fn svg(graph: &Graph, style: Style<'_>) -> String {
    let drawn: Vec<Drawn<'_>> = graph.nodes.iter().map(Drawn::new).collect();
    let sizes: Vec<Size> = drawn.iter().map(|drawn| drawn.size).collect();
    let ends: Vec<(usize, usize)> = graph.edges.iter().map(|edge| (edge.from, edge.to)).collect();
    let layout = layout(&sizes, &ends);
    let head = if style.alone { Head::new(graph, layout.size.width) } else { Head::default() };
    let width = layout.size.width.max(head.width) + 2.0 * MARGIN;
    let height = layout.size.height + head.height + 2.0 * MARGIN;
    let mut svg = opening(graph, style, width, height);
    svg.push_str(&head.content);
    let _ = writeln!(svg, "<g transform=\"translate({MARGIN} {})\">", number(MARGIN + head.height));
    edges(&mut svg, graph, &layout);
    for (drawn, rect) in drawn.iter().zip(&layout.boxes) {
        draw_node(&mut svg, drawn, *rect);
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

fn opening(graph: &Graph, style: Style<'_>, width: f64, height: f64) -> String {
    let id = escaped(style.id);
    let (width, height) = (number(width.ceil()), number(height.ceil()));
    let own_width = if style.alone { String::new() } else { format!(" style=\"--width: {width}px\"") };
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"fs\" width=\"{width}\" height=\"{height}\" \
         viewBox=\"0 0 {width} {height}\"{own_width} role=\"img\" aria-labelledby=\"{id}-title {id}-desc\">\n\
         <title id=\"{id}-title\">{}</title>\n<desc id=\"{id}-desc\">{}</desc>\n",
        escaped(&graph.title),
        escaped(&description(graph))
    );
    if style.alone {
        let _ =
            writeln!(svg, "<style>\n{STYLE}</style>\n<rect class=\"paper\" width=\"{width}\" height=\"{height}\"/>");
    }
    svg
}

/// The picture in words.
fn description(graph: &Graph) -> String {
    let count = graph.nodes.len();
    let mut text = format!("{} with {count} step{}.", graph.title, if count == 1 { "" } else { "s" });
    for node in graph.nodes.iter().take(NAMED_STEPS) {
        text.push_str(&format!("\n{}", node.slug));
        if node.mark != Mark::Same {
            text.push_str(&format!(", {}", node.mark.as_str()));
        }
        let said = node.rows.iter().map(|row| row.text.as_str()).chain(node.notes.iter().map(String::as_str));
        let said: Vec<&str> = said.take_while(|text| text.len() < 200).collect();
        if !said.is_empty() {
            text.push_str(&format!(": {}", said.join("; ")));
        }
    }
    if count > NAMED_STEPS {
        text.push_str(&format!("\nand {} more", count - NAMED_STEPS));
    }
    text
}

/// Title and facts above the picture.
#[derive(Default)]
struct Head {
    content: String,
    width: f64,
    height: f64,
}

impl Head {
    fn new(graph: &Graph, room: f64) -> Self {
        let room = room.clamp(480.0, 900.0);
        let mut head = Self { width: mono_width(&graph.title, 19.0), height: 20.0, ..Self::default() };
        let _ = writeln!(
            head.content,
            "<text class=\"title\" x=\"{MARGIN}\" y=\"{}\">{}</text>",
            MARGIN + 16.0,
            escaped(&graph.title)
        );
        for line in graph.facts.iter().flat_map(|fact| text_lines(fact, FACT_SIZE, room)) {
            head.height += 19.0;
            head.width = head.width.max(width(&line, FACT_SIZE));
            let y = number(MARGIN + head.height - 3.0);
            let _ = writeln!(head.content, "<text class=\"fact\" x=\"{MARGIN}\" y=\"{y}\">{}</text>", escaped(&line));
        }
        head.height += 24.0;
        head
    }
}

/// A step as it is to be drawn.
struct Drawn<'g> {
    node: &'g Node,
    name: Vec<String>,
    rows: Vec<DrawnRow>,
    size: Size,
}

/// A line of a box; without icon where it goes on with the one above.
struct DrawnRow {
    of: Icon,
    has_icon: bool,
    text: String,
}

impl<'g> Drawn<'g> {
    fn new(node: &'g Node) -> Self {
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
}

/// A row as it fits. What went wrong, how a step stands and what becomes of it is what people look for, so it gets some
/// lines.
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

/// The size by which a row is measured.
fn row_size(icon: Icon) -> f64 {
    if matches!(icon, Icon::Status(_) | Icon::Mark(_)) { ROW_SIZE * BOLD } else { ROW_SIZE }
}

#[expect(clippy::cast_precision_loss, reason = "a name has a few lines")]
fn lines(count: usize) -> f64 {
    count as f64
}

/// What stays first, so that what is added or removed lies above it. Edges from one step share the way as far as they
/// have it in common: the longest is drawn whole, of the others what is their own.
fn edges(svg: &mut String, graph: &Graph, layout: &Layout) {
    let mut order: Vec<(&Edge, &Route)> =
        graph.edges.iter().zip(&layout.routes).filter(|(edge, _)| edge.from != edge.to).collect();
    order.sort_by_key(|(edge, route)| (edge.mark, edge.from, route.leads_back, Reverse(route.shared)));
    let mut drawn = None;
    let mut heads = BTreeSet::new();
    for (edge, route) in order {
        let is_shared = !route.leads_back && drawn == Some((edge.mark, edge.from));
        drawn = Some((edge.mark, edge.from));
        let way = if is_shared { vec![route.own] } else { layout.way(route) };
        let class = if edge.mark == Mark::Same { String::new() } else { format!(" {}", edge.mark.as_str()) };
        let _ = writeln!(svg, "<path class=\"edge{class}\" d=\"{}\"/>", curve(&way));
        let Some((_, end)) = way.last() else { continue };
        if heads.insert((edge.to, edge.mark, route.leads_back)) {
            let back = number(if route.leads_back { HEAD } else { -HEAD });
            let (x, y) = (number(end.x), number(end.y));
            let _ = writeln!(svg, "<path class=\"head{class}\" d=\"M{x} {y}l{back} -4.5v9z\"/>");
        }
    }
}

/// The path of an edge; it ends in the middle of its arrow's head.
fn curve(curves: &[Curve]) -> String {
    let mut path = String::new();
    for (index, (start, end)) in curves.iter().enumerate() {
        let head = if index + 1 == curves.len() { HEAD / 2.0 } else { 0.0 };
        let end = Point { x: if end.x < start.x { end.x + head } else { end.x - head }, y: end.y };
        let _ = write!(path, "{}{} {}", if index == 0 { 'M' } else { 'L' }, number(start.x), number(start.y));
        if (start.y - end.y).abs() < 0.05 {
            let _ = write!(path, "H{}", number(end.x));
        } else {
            let middle = number(f64::midpoint(start.x, end.x));
            let _ = write!(
                path,
                "C{middle} {} {middle} {} {} {}",
                number(start.y),
                number(end.y),
                number(end.x),
                number(end.y)
            );
        }
    }
    path
}

fn draw_node(svg: &mut String, drawn: &Drawn<'_>, rect: Rect) {
    let node = drawn.node;
    let mut classes = vec!["step"];
    classes.extend(node.is_conditional.then_some("conditional"));
    classes.extend((node.mark != Mark::Same).then(|| node.mark.as_str()));
    classes.extend(node.status.map(|status| status.as_str()));
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
    // From behind to the front.
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
    for line in &drawn.name {
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
    for row in &drawn.rows {
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

fn draw_row(svg: &mut String, row: &DrawnRow, x: f64, y: f64) {
    let (icon, said) = match row.of {
        Icon::Status(_) | Icon::Mark(_) => (" said-icon", " said"),
        Icon::Error => (" error-icon", " error"),
        _ => ("", ""),
    };
    if row.has_icon {
        let (x, y, path) = (number(x), number(y - ICON - 1.0), icons::path(row.of));
        let _ = write!(svg, "<path class=\"icon{icon}\" transform=\"translate({x} {y})\" d=\"{path}\"/>");
    }
    let (x, y) = (number(x + ICON + 6.0), number(y - 3.0));
    let _ = writeln!(svg, "<text class=\"row{said}\" x=\"{x}\" y=\"{y}\">{}</text>", escaped(&row.text));
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

/// Everything about a step.
fn tooltip(node: &Node) -> String {
    let rows = node.rows.iter().map(|row| row.text.as_str());
    let lines: Vec<&str> =
        std::iter::once(node.slug.as_str()).chain(rows).chain(node.notes.iter().map(String::as_str)).collect();
    lines.join("\n")
}

/// A number of pixels, to a tenth, without a zero at its end.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}
