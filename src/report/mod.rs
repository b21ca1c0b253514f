//! Reports: results as text (with ANSI styles, which the caller strips if needed), as JSON (versioned, with schemas in `schema/`), as
//! Markdown for pull requests, and as HTML pages.

mod bench;
mod changes;
mod doctor;
mod drift;
pub mod findings;
mod format;
mod graph_html;
mod layout;
pub mod operate;
mod page;
mod plan;
mod plan_html;
mod status;
mod style;
mod words;

pub use bench::{bench_json, bench_text};
pub use changes::changes_text;
pub use doctor::{doctor_json, doctor_text};
pub use drift::{drift_json, drift_markdown, drift_text};
pub use graph_html::graph_html;
pub use layout::TextLayout;
pub use plan::{plan_json, plan_markdown, plan_text};
pub use plan_html::plan_html;
pub use status::{status_json, status_text};

/// The subject of a report, shown in its first line.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The address of the database, without its password.
    pub database: String,
    /// A description of the engine.
    pub engine: String,
}
