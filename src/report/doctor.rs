//! Doctor reports.

use serde::Serialize;

use super::Subject;
use super::format::json;
use super::layout::{Text, TextLayout};
use super::style::{BAD, CARE, DIM, GOOD, paint};
use flowsmith_core::visible::{visible, visible_lines};
use flowsmith_postgres::engine::doctor::{CheckStatus, DoctorCheck};

/// The report as text.
pub fn doctor_text(checks: &[DoctorCheck], subject: &Subject, layout: TextLayout) -> String {
    let mut text = Text::titled("Doctor report for", subject, layout);
    text.blank();
    let width = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    for check in checks {
        let style = match check.status {
            CheckStatus::Ok => GOOD,
            CheckStatus::Warning => CARE,
            CheckStatus::Failed => BAD,
            CheckStatus::Skipped => DIM,
        };
        let status = paint(style, format!("{:7}", word(check.status)));
        let below = format!("  {:7}  {:width$}  ", "", "");
        let detail = visible_lines(&check.detail);
        let mut details = detail.lines();
        text.labelled(&format!("  {status}  {:width$}  ", visible(&check.name)), details.next().unwrap_or_default());
        for detail in details {
            text.labelled(&below, detail);
        }
        if let Some(advice) = &check.advice {
            text.labelled(&below, &paint(DIM, advice));
        }
    }
    let count = |status| checks.iter().filter(|check| check.status == status).count();
    text.blank();
    text.line(format!(
        "{} ok, {} warnings, {} failed, {} skipped.",
        count(CheckStatus::Ok),
        count(CheckStatus::Warning),
        count(CheckStatus::Failed),
        count(CheckStatus::Skipped)
    ));
    text.finish()
}

fn word(status: CheckStatus) -> &'static str {
    match status {
        CheckStatus::Ok => "ok",
        CheckStatus::Warning => "warning",
        CheckStatus::Failed => "failed",
        CheckStatus::Skipped => "skipped",
    }
}

#[derive(Serialize)]
struct DoctorJson<'a> {
    version: u32,
    database: &'a str,
    engine: &'a str,
    healthy: bool,
    checks: Vec<CheckJson<'a>>,
}

#[derive(Serialize)]
struct CheckJson<'a> {
    name: &'a str,
    status: &'static str,
    detail: &'a str,
    advice: Option<&'a str>,
}

/// The report as JSON: `schema/doctor.v1.json`.
pub fn doctor_json(checks: &[DoctorCheck], subject: &Subject) -> String {
    json(&DoctorJson {
        version: 1,
        database: &subject.database,
        engine: &subject.engine,
        healthy: checks.iter().all(|check| check.status != CheckStatus::Failed),
        checks: checks
            .iter()
            .map(|check| CheckJson {
                name: &check.name,
                status: word(check.status),
                detail: &check.detail,
                advice: check.advice.as_deref(),
            })
            .collect(),
    })
}
