//! A graph as SVG: one file with its own light and dark styles. Color never carries information alone.

mod icons;
mod step;
mod text;

pub(crate) use text::escaped;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::fmt::Write as _;

use self::step::Drawn;
use self::text::{mono_width, text_lines, width};
use super::layout::{Curve, Layout, Point, Route, Size, layout};
use super::{Edge, Graph, Mark};

/// The styles of all diagrams; a page with several diagrams contains them once.
pub const STYLE: &str = include_str!("style.css");

/// The options of a diagram.
#[derive(Debug, Clone, Copy)]
pub struct Style<'a> {
    /// The prefix of element ids, which must be unique on a page.
    pub id: &'a str,
    /// Whether the diagram is a file of its own, with styles, background, title and facts.
    pub alone: bool,
}

/// The space around the diagram in pixels.
const MARGIN: f64 = 24.0;
const FACT_SIZE: f64 = 12.5;
/// The length of an arrowhead in pixels.
const HEAD: f64 = 8.0;
/// The most steps that the description for screen readers lists.
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
        drawn.draw(&mut svg, *rect);
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

/// The description for screen readers.
fn description(graph: &Graph) -> String {
    let count = graph.nodes.len();
    let mut text = format!("{} with {count} step{}.", graph.title, if count == 1 { "" } else { "s" });
    for node in graph.nodes.iter().take(NAMED_STEPS) {
        text.push_str(&format!("\n{}", node.slug));
        if node.mark != Mark::Same {
            text.push_str(&format!(", {}", node.mark.as_str()));
        }
        let lines = node.rows.iter().map(|row| row.text.as_str()).chain(node.notes.iter().map(String::as_str));
        let lines = node.description.as_deref().into_iter().chain(lines);
        let lines: Vec<&str> = lines.take_while(|text| text.len() < 200).collect();
        if !lines.is_empty() {
            text.push_str(&format!(": {}", lines.join("; ")));
        }
    }
    if count > NAMED_STEPS {
        text.push_str(&format!("\nand {} more", count - NAMED_STEPS));
    }
    text
}

/// The title and the facts above the diagram.
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
        for line in graph.head_lines().iter().flat_map(|fact| text_lines(fact, FACT_SIZE, room)) {
            head.height += 19.0;
            head.width = head.width.max(width(&line, FACT_SIZE));
            let y = number(MARGIN + head.height - 3.0);
            let _ = writeln!(head.content, "<text class=\"fact\" x=\"{MARGIN}\" y=\"{y}\">{}</text>", escaped(&line));
        }
        head.height += 24.0;
        head
    }
}

/// Draws unchanged edges first, so that added and removed ones lie above them. Edges from one step share the first part of their
/// route: the longest edge is drawn completely, the others without the shared part.
fn edges(svg: &mut String, graph: &Graph, layout: &Layout) {
    let mut order: Vec<(&Edge, &Route)> =
        graph.edges.iter().zip(&layout.routes).filter(|(edge, _)| edge.from != edge.to).collect();
    order.sort_by_key(|(edge, route)| (edge.mark, edge.from, route.leads_back, Reverse(route.shared)));
    let mut drawn = None;
    let mut heads = BTreeSet::new();
    for (edge, route) in order {
        let is_shared = !route.leads_back && drawn == Some((edge.mark, edge.from));
        drawn = Some((edge.mark, edge.from));
        let way = if is_shared { vec![route.own] } else { layout.curves(route) };
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

/// The SVG path of an edge, which ends in the middle of the arrowhead.
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

/// A number of pixels with at most one decimal.
fn number(value: f64) -> String {
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}
