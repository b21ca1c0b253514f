//! Reports: results as text for people (with ANSI styles, which the terminal side strips where they are not wanted),
//! as JSON for machines (versioned, with a schema under `schema/`) and as Markdown for pull requests.

mod bench;
mod changes;
mod doctor;
mod drift;
pub mod findings;
pub mod operate;
mod plan;
mod status;
mod style;

pub use bench::{bench_json, bench_text};
pub use changes::{changes_text, counted};
pub use doctor::{doctor_json, doctor_text};
pub use drift::{drift_json, drift_markdown, drift_text};
pub use plan::{plan_json, plan_markdown, plan_text};
pub use status::{status_json, status_text};

/// What a report is about: shown in its first line.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The database, without its password.
    pub database: String,
    /// The engine there, in words.
    pub engine: String,
}
