//! A flow or a run as an HTML page.

use serde::Serialize;

use super::page;
use crate::graph::{Graph, Style, TriggerLabel, svg};

#[derive(Serialize)]
struct Page<'a> {
    title: &'a str,
    facts: &'a [String],
    triggers: &'a [TriggerLabel],
    picture: String,
    has_status: bool,
    steps: Vec<StepLine<'a>>,
}

#[derive(Serialize)]
struct StepLine<'a> {
    slug: &'a str,
    description: Option<&'a str>,
    status: String,
    lines: Vec<&'a str>,
}

/// The diagram and a table with the same content for screen readers and searching.
pub fn graph_html(graph: &Graph) -> String {
    let steps = graph.nodes.iter().map(|node| StepLine {
        slug: &node.slug,
        description: node.description.as_deref(),
        status: match node.status {
            Some(_) if node.is_queued => "queued".to_owned(),
            Some(status) => status.to_string(),
            None => "not in this run".to_owned(),
        },
        lines: node.rows.iter().map(|row| row.text.as_str()).chain(node.notes.iter().map(String::as_str)).collect(),
    });
    let context = Page {
        title: &graph.title,
        facts: &graph.facts,
        triggers: &graph.triggers,
        picture: svg(graph, Style { id: "flow", alone: false }),
        has_status: graph.nodes.iter().any(|node| node.status.is_some()),
        steps: steps.collect(),
    };
    page::render("graph.html", &context)
}
