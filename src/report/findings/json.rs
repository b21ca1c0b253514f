//! Findings as JSON: `schema/findings.v1.json`.

use serde_json::{Value, json};

use super::{Location, Report, path};

/// One JSON object on several lines.
pub fn json(report: &Report) -> String {
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|located| {
            let finding = &located.finding;
            let related: Vec<_> = finding
                .related
                .iter()
                .zip(&located.related)
                .map(|(related, location)| {
                    let file = related.origin.as_ref().map_or(&finding.file, |(file, _)| file);
                    with_place(json!({ "file": path(file), "label": related.label }), location.as_ref())
                })
                .collect();
            let entry = json!({
                "code": finding.code.as_str(),
                "title": finding.code.title(),
                "severity": finding.severity.as_str(),
                "message": finding.message,
                "label": finding.label,
                "help": finding.help,
                "docs": finding.code.page(),
                "environment": finding.environment,
                "file": path(&finding.file),
                "document": finding.document,
                "related": related,
            });
            with_place(entry, located.at.as_ref())
        })
        .collect();
    let summary = report.summary;
    let whole = json!({
        "version": 1,
        "findings": findings,
        "summary": {
            "errors": summary.errors,
            "warnings": summary.warnings,
            "files": summary.files,
            "flows": summary.flows,
            "steps": summary.steps,
            "triggers": summary.triggers,
        },
    });
    format!("{whole:#}\n")
}

fn with_place(mut entry: Value, location: Option<&Location>) -> Value {
    entry["line"] = json!(location.map(|at| at.start.line));
    entry["column"] = json!(location.map(|at| at.start.column));
    entry["end_line"] = json!(location.map(|at| at.end.line));
    entry["end_column"] = json!(location.map(|at| at.end.column));
    entry
}
