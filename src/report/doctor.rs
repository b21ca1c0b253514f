//! Doctor reports.

use std::fmt::Write as _;

use serde::Serialize;

use super::Subject;
use super::plan::json;
use super::style::{BAD, BOLD, CARE, DIM, GOOD, paint};
use flowsmith_postgres::engine::doctor::{CheckStatus, DoctorCheck};

/// The report as text.
pub fn doctor_text(checks: &[DoctorCheck], subject: &Subject) -> String {
    let mut text = format!("{} {} ({})\n\n", paint(BOLD, "Doctor report for"), subject.database, subject.engine);
    let width = checks.iter().map(|check| check.name.chars().count()).max().unwrap_or(0);
    for check in checks {
        let style = match check.status {
            CheckStatus::Ok => GOOD,
            CheckStatus::Warning => CARE,
            CheckStatus::Failed => BAD,
            CheckStatus::Skipped => DIM,
        };
        let status = paint(style, format!("{:7}", word(check.status)));
        let below = format!("\n{:indent$}", "", indent = width + 13);
        let line = format!("  {status}  {:width$}  {}", check.name, check.detail.replace('\n', &below));
        let _ = writeln!(text, "{}", line.trim_end());
        if let Some(advice) = &check.advice {
            let _ = writeln!(text, "           {:width$}  {}", "", paint(DIM, advice));
        }
    }
    let counted = |status| checks.iter().filter(|check| check.status == status).count();
    let _ = writeln!(
        text,
        "\n{} ok, {} warnings, {} failed, {} skipped.",
        counted(CheckStatus::Ok),
        counted(CheckStatus::Warning),
        counted(CheckStatus::Failed),
        counted(CheckStatus::Skipped)
    );
    text
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
