//! Times the check of a project: `measure_check DIR [FILE…]`, with files only of those.

use std::path::PathBuf;
use std::time::Instant;

use flowsmith::check::{CheckSettings, check, check_files};
use flowsmith::source::Sources;

#[expect(clippy::print_stdout, reason = "its figures are what it is for")]
fn main() {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let sources = Sources::project(arguments.next().expect("usage: measure_check DIR [FILE…]"));
    let only: Vec<_> = arguments.collect();
    let start = Instant::now();
    let settings = CheckSettings::default();
    let checked = if only.is_empty() { check(&sources, &settings) } else { check_files(&only, &sources, &settings) };
    let (time, findings) = (start.elapsed(), checked.findings.len());
    println!("{} flows, {} steps, {findings} findings in {time:?}", checked.catalog.len(), checked.steps);
}
