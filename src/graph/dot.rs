//! A graph as DOT, for Graphviz.

use std::fmt::Write as _;

use super::{Graph, Mark, Node, words};
use flowsmith_core::visible::is_invisible;
use flowsmith_postgres::runs::StepStatus;

/// Writes a graph as DOT. Map steps have a double outline, conditional steps are dashed hexagons.
pub fn dot(graph: &Graph) -> String {
    let mut text = format!(
        "digraph {} {{\n  rankdir=LR\n  label={}\n  labelloc=t\n  \
         node [shape=box, style=\"rounded,filled\", fillcolor=\"#f7f9fc\", color=\"#8a97a8\", fontname=\"Helvetica\", fontsize=11]\n  \
         edge [color=\"#7c899b\", arrowsize=0.7]\n",
        quoted(&graph.title),
        quoted(&std::iter::once(graph.title.clone()).chain(graph.head_lines()).collect::<Vec<_>>().join("\n"))
    );
    for (place, node) in graph.nodes.iter().enumerate() {
        let _ = writeln!(text, "  s{place} [{}]", attributes(node).join(", "));
    }
    for edge in &graph.edges {
        let style = match edge.mark {
            Mark::Same | Mark::Changed => "",
            Mark::Added => " [color=\"#15803d\", penwidth=2]",
            Mark::Removed => " [color=\"#c01c1c\", penwidth=2, style=dashed]",
        };
        let _ = writeln!(text, "  s{} -> s{}{style}", edge.from, edge.to);
    }
    text.push_str("}\n");
    text
}

fn attributes(node: &Node) -> Vec<String> {
    let sign = node.mark.sign().map(|sign| format!("{sign} ")).unwrap_or_default();
    let rows = node.rows.iter().map(|row| words::label(&row.text));
    let label: Vec<String> = std::iter::once(format!("{sign}{}", node.slug)).chain(rows).collect();
    let mut attributes = vec![format!("label={}", quoted(&label.join("\n")))];
    let tooltip: Vec<&str> = node.description.iter().chain(&node.notes).map(String::as_str).collect();
    if !tooltip.is_empty() {
        attributes.push(format!("tooltip={}", quoted(&tooltip.join("\n"))));
    }
    if node.is_conditional {
        attributes.push("shape=hexagon, style=\"filled,dashed\"".to_owned());
    }
    if node.is_map {
        attributes.push("peripheries=2".to_owned());
    }
    attributes.extend(colours(node).map(str::to_owned));
    attributes
}

/// The colors of the mark or, for an unchanged step, of the status.
fn colours(node: &Node) -> Option<&'static str> {
    match node.mark {
        Mark::Added => return Some("fillcolor=\"#eefaf1\", color=\"#15803d\", penwidth=2"),
        Mark::Removed => {
            return Some("fillcolor=\"#fff0ef\", color=\"#c01c1c\", penwidth=2, style=\"rounded,filled,dashed\"");
        }
        Mark::Changed => return Some("fillcolor=\"#fff8e8\", color=\"#a85a05\", penwidth=2"),
        Mark::Same => {}
    }
    Some(match node.drawn_status()? {
        StepStatus::Created | StepStatus::NotRun => {
            "fillcolor=\"#ffffff\", color=\"#aab4c2\", style=\"rounded,filled,dotted\""
        }
        StepStatus::Started => "fillcolor=\"#edf3ff\", color=\"#1d4ed8\", penwidth=2",
        StepStatus::Completed => "fillcolor=\"#eefaf1\", color=\"#15803d\"",
        StepStatus::Failed => "fillcolor=\"#fff0ef\", color=\"#c01c1c\", penwidth=3",
        StepStatus::CutOff => "fillcolor=\"#fff8e8\", color=\"#a85a05\", style=\"rounded,filled,dashed\"",
        StepStatus::Skipped => "fillcolor=\"#f1f3f5\", color=\"#98a2b0\", style=\"rounded,filled,dashed\"",
    })
}

/// A quoted string. In labels, Graphviz interprets backslash escapes and character entities such as `&amp;`.
fn quoted(text: &str) -> String {
    let mut result = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => result.push_str("\\\""),
            '\\' => result.push_str("\\\\"),
            '&' => result.push_str("&amp;"),
            '\n' => result.push_str("\\n"),
            c if is_invisible(c) => {
                let _ = write!(result, "\\{}", c.escape_unicode());
            }
            c => result.push(c),
        }
    }
    result.push('"');
    result
}
