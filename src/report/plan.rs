//! Plan reports.

use std::fmt::Write as _;

use serde::Serialize;

use super::Subject;
use super::changes::{ChangeJson, change_text, column_width, lines};
use super::drift::differences;
use super::format::{code, json, markdown};
use super::layout::{Text, TextLayout};
use super::style::{BAD, CARE, DIM, GOOD, paint};
use flowsmith_core::words::counted;
use flowsmith_postgres::plan::{Hazard, Plan};
use flowsmith_postgres::runs::RunTotals;

/// The report as text.
pub fn plan_text(plan: &Plan, subject: &Subject, layout: TextLayout) -> String {
    let mut text = Text::titled("Plan for", subject, layout);
    text.blank();
    let width = column_width(plan.changes.iter().map(|planned| &planned.change));
    for planned in &plan.changes {
        change_text(&mut text, &planned.change, width);
        for hazard in &planned.hazards {
            let style = if hazard.refuses() { BAD } else { CARE };
            text.line(format!("      {}", paint(style, hazard)));
        }
    }
    let summary = summary(plan);
    if plan.is_in_sync() {
        text.line(paint(GOOD, summary));
    } else if plan.changes.is_empty() {
        text.line(paint(BAD, summary));
    } else {
        text.blank();
        text.line(summary);
    }
    if !plan.unmanaged.is_empty() {
        text.line(paint(DIM, format!("Unmanaged, left unchanged: {}", plan.unmanaged.join(", "))));
    }
    text.finish()
}

/// The result in one or two sentences.
pub(super) fn summary(plan: &Plan) -> String {
    let drift = if plan.is_drifted() {
        let count = counted(differences(&plan.drift), "difference");
        format!(
            "the database has drifted from its applied migrations ({count}, see `flowsmith drift`), which blocks `apply`"
        )
    } else {
        String::new()
    };
    if plan.changes.is_empty() {
        return match (plan.is_drifted(), plan.drift.is_empty()) {
            (true, _) => format!("No flow changes, but {drift}."),
            (false, true) => "No changes: the database matches the flow files.".to_owned(),
            (false, false) => {
                "No changes: the database matches the flow files, and has other flows or triggers besides (see `flowsmith drift`)."
                    .to_owned()
            }
        };
    }
    let refused = plan.changes.iter().filter(|planned| planned.hazards.iter().any(Hazard::refuses)).count();
    let refusal = if refused == 0 { String::new() } else { format!(", {refused} of them refused") };
    let drift = if drift.is_empty() { drift } else { format!(" Also, {drift}.") };
    format!("{}{refusal}.{drift}", counted(plan.changes.len(), "change"))
}

#[derive(Serialize)]
struct PlanJson<'a> {
    version: u32,
    database: &'a str,
    engine: &'a str,
    in_sync: bool,
    refused: bool,
    changes: Vec<PlannedJson>,
    unmanaged: &'a [String],
    drift: Vec<String>,
}

#[derive(Serialize)]
struct PlannedJson {
    change: ChangeJson,
    runs: RunTotals,
    hazards: Vec<HazardJson>,
}

#[derive(Serialize)]
struct HazardJson {
    name: &'static str,
    refuses: bool,
    message: String,
}

/// The report as JSON: `schema/plan.v1.json`.
pub fn plan_json(plan: &Plan, subject: &Subject) -> String {
    let hazard =
        |hazard: &Hazard| HazardJson { name: hazard.name(), refuses: hazard.refuses(), message: hazard.to_string() };
    let report = PlanJson {
        version: 1,
        database: &subject.database,
        engine: &subject.engine,
        in_sync: plan.is_in_sync(),
        refused: plan.is_refused(),
        changes: plan
            .changes
            .iter()
            .map(|planned| PlannedJson {
                change: ChangeJson::from(&planned.change),
                runs: planned.runs,
                hazards: planned.hazards.iter().map(hazard).collect(),
            })
            .collect(),
        unmanaged: &plan.unmanaged,
        drift: plan.drift.summary(),
    };
    json(&report)
}

/// The report as Markdown.
pub fn plan_markdown(plan: &Plan, subject: &Subject) -> String {
    let mut text = format!("### flowsmith plan for {}\n\n", code(&subject.database));
    if plan.changes.is_empty() {
        let _ = writeln!(text, "{}", summary(plan));
        return text;
    }
    text.push_str("| | flow | change | class | runs (started / all) |\n|---|---|---|---|---|\n");
    for planned in &plan.changes {
        let change = &planned.change;
        let mut what: Vec<String> = lines(change).iter().map(|line| markdown(line)).collect();
        what.extend(planned.hazards.iter().map(|hazard| format!("**{}**", markdown(&hazard.to_string()))));
        let runs = format!("{} / {}", planned.runs.started, planned.runs.total);
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {runs} |",
            change.sign(),
            code(&change.id().to_string()),
            what.join("<br>"),
            change.class().as_str()
        );
    }
    if plan.is_drifted() {
        let _ = writeln!(text, "\n{}", summary(plan));
    }
    if !plan.unmanaged.is_empty() {
        let unmanaged: Vec<String> = plan.unmanaged.iter().map(|slug| code(slug)).collect();
        let _ = writeln!(text, "\nLeft alone, in no file: {}", unmanaged.join(", "));
    }
    text
}
