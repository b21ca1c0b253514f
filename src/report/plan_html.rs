//! The plan as an HTML page: the text of the plan with diagrams of the changes.

use serde::Serialize;

use super::changes::action;
use super::plan::summary;
use super::{Subject, page};
use crate::graph::{Graph, Style, svg};
use flowsmith_core::diff::{Change, Class};
use flowsmith_postgres::plan::{Plan, PlannedChange};

/// The most steps drawn on one page, because browsers are slow with more. Further flows have no diagram.
const MAX_STEPS: usize = 5_000;

#[derive(Serialize)]
struct Page<'a> {
    database: &'a str,
    engine: &'a str,
    summary: String,
    changes: Vec<Section>,
    unmanaged: &'a [String],
}

#[derive(Serialize)]
struct Section {
    flow: String,
    sign: char,
    action: &'static str,
    class: &'static str,
    class_name: &'static str,
    summary: String,
    differences: Vec<Difference>,
    runs: String,
    hazards: Vec<HazardLine>,
    picture: Option<String>,
}

#[derive(Serialize)]
struct Difference {
    text: String,
    class: &'static str,
    class_name: &'static str,
}

#[derive(Serialize)]
struct HazardLine {
    text: String,
    refuses: bool,
}

/// The plan as one HTML file without external resources.
pub fn plan_html(plan: &Plan, subject: &Subject) -> String {
    let mut drawn = 0;
    let sections = plan.changes.iter().enumerate().map(|(index, planned)| {
        let graph = Graph::of_change(&planned.change);
        drawn += graph.nodes.len();
        let id = format!("picture-{}", index + 1);
        // The first is always drawn.
        let is_drawn = index == 0 || drawn <= MAX_STEPS;
        section(planned, is_drawn.then(|| svg(&graph, Style { id: &id, alone: false })))
    });
    let context = Page {
        database: &subject.database,
        engine: &subject.engine,
        changes: sections.collect(),
        summary: summary(plan),
        unmanaged: &plan.unmanaged,
    };
    page::render("plan.html", &context)
}

fn section(planned: &PlannedChange, picture: Option<String>) -> Section {
    let change = &planned.change;
    let differences = match change {
        Change::Alter(alteration) => alteration
            .deltas
            .iter()
            .map(|delta| Difference {
                text: delta.to_string(),
                class: delta.class().as_str(),
                class_name: class_name(delta.class()),
            })
            .collect(),
        Change::Create(_) | Change::Drop(_) => Vec::new(),
    };
    let runs = planned.runs;
    Section {
        flow: change.id().to_string(),
        sign: change.sign(),
        action: action(change),
        class: change.class().as_str(),
        class_name: class_name(change.class()),
        // A single difference is its own summary.
        summary: if differences.len() == 1 { String::new() } else { change.summary() },
        differences,
        runs: match runs.total {
            0 => "No runs in this database.".to_owned(),
            1 => format!("1 run in this database, {} running.", runs.started),
            total => format!("{total} runs in this database, {} running.", runs.started),
        },
        hazards: planned
            .hazards
            .iter()
            .map(|hazard| HazardLine { text: hazard.to_string(), refuses: hazard.refuses() })
            .collect(),
        picture,
    }
}

/// Its class in the style sheet, where `drop` is already a kind of change.
fn class_name(class: Class) -> &'static str {
    if class == Class::Drop { "dropped" } else { class.as_str() }
}
