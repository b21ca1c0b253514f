//! What operators look at.

mod run;
mod runs;
mod table;
mod watch;
mod words;

pub use run::{run_json, run_text, started_json};
pub use runs::{runs_json, runs_text};
pub use watch::{event_json, event_text};
