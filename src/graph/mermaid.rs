//! A graph as a Mermaid flowchart, which GitHub, GitLab and many wikis draw.

use std::fmt::Write as _;

use flowsmith_core::visible::{is_invisible, visible};

use super::words::status_class;
use super::{Graph, Mark, Node, words};

/// Classes of steps. Each sets the text color too, so that text is readable in light and dark themes.
const CLASSES: [(&str, &str); 9] = [
    ("added", "fill:#eefaf1,stroke:#15803d,stroke-width:2px,color:#1f2733"),
    ("removed", "fill:#fff0ef,stroke:#c01c1c,stroke-width:2px,stroke-dasharray:3 3,color:#1f2733"),
    ("changed", "fill:#fff8e8,stroke:#a85a05,stroke-width:2px,color:#1f2733"),
    ("created", "fill:#ffffff,stroke:#aab4c2,stroke-dasharray:2 3,color:#55606f"),
    ("started", "fill:#edf3ff,stroke:#1d4ed8,stroke-width:2px,color:#1f2733"),
    ("completed", "fill:#eefaf1,stroke:#15803d,color:#1f2733"),
    ("failed", "fill:#fff0ef,stroke:#c01c1c,stroke-width:3px,color:#1f2733"),
    ("cut", "fill:#fff8e8,stroke:#a85a05,stroke-dasharray:9 4,color:#1f2733"),
    ("skipped", "fill:#f1f3f5,stroke:#98a2b0,stroke-dasharray:9 4,color:#55606f"),
];

/// Writes a graph as a Mermaid flowchart. Map steps have double sides, conditional steps are hexagons.
pub fn mermaid(graph: &Graph) -> String {
    let mut text = format!("---\ntitle: {}\n---\nflowchart LR\n", quoted_title(&graph.title));
    for (place, node) in graph.nodes.iter().enumerate() {
        let (open, close) = match (node.is_conditional, node.is_map) {
            (true, _) => ("{{", "}}"),
            (false, true) => ("[[", "]]"),
            (false, false) => ("(", ")"),
        };
        let class = class(node).map(|class| format!(":::{class}")).unwrap_or_default();
        let _ = writeln!(text, "  s{place}{open}\"{}\"{close}{class}", label(node));
    }
    for (place, edge) in graph.edges.iter().enumerate() {
        let arrow = if edge.mark == Mark::Removed { "-.->" } else { "-->" };
        let _ = writeln!(text, "  s{} {arrow} s{}", edge.from, edge.to);
        let colour = match edge.mark {
            Mark::Same | Mark::Changed => continue,
            Mark::Added => "#15803d",
            Mark::Removed => "#c01c1c",
        };
        let _ = writeln!(text, "  linkStyle {place} stroke:{colour},stroke-width:2px");
    }
    for (name, style) in CLASSES {
        if graph.nodes.iter().any(|node| class(node) == Some(name)) {
            let _ = writeln!(text, "  classDef {name} {style}");
        }
    }
    text
}

fn class(node: &Node) -> Option<&'static str> {
    match (node.mark, node.drawn_status()) {
        (Mark::Same, status) => status.map(status_class),
        (mark, _) => Some(mark.as_str()),
    }
}

fn label(node: &Node) -> String {
    let sign = node.mark.sign().map(|sign| format!("{sign} ")).unwrap_or_default();
    let mut lines = vec![format!("<b>{}</b>", escaped(&format!("{sign}{}", node.slug)))];
    lines.extend(node.description.iter().map(|text| format!("<i>{}</i>", escaped(&words::label(text)))));
    lines.extend(node.rows.iter().map(|row| escaped(&words::label(&row.text))));
    lines.join("<br/>")
}

/// Writes all characters as numeric entities, except letters, digits and the few that no version of Mermaid interprets.
fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            ' ' | '.' | ',' | '/' | '-' | '=' | '(' | ')' => result.push(c),
            c if c.is_alphanumeric() && !is_invisible(c) => result.push(c),
            '\n' | '\t' => result.push(' '),
            c if is_invisible(c) => result.push_str(&escaped(&visible(c.encode_utf8(&mut [0; 4])))),
            c => {
                let _ = write!(result, "#{};", u32::from(c));
            }
        }
    }
    result
}

/// The title as a YAML string.
fn quoted_title(title: &str) -> String {
    serde_json::Value::from(visible(title)).to_string()
}
