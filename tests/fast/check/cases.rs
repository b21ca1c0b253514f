//! Every folder under `tests/cases/check` is a project; its snapshot is the report that `flowsmith check` prints.

use std::fs;
use std::path::Path;

use flowsmith::report::findings::{Report, text};
use flowsmith_core::check::{CheckSettings, check};
use flowsmith_core::source::Sources;

use crate::snapshots;

/// Reads the file `settings` of a case. Its lines are `engine 0.8.1` and `environment production`.
fn settings(folder: &Path) -> CheckSettings {
    let text = fs::read_to_string(folder.join("settings")).unwrap_or_default();
    let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned());
    CheckSettings {
        engine: value("engine ").map(|level| level.parse().expect("a level")),
        environment: value("environment "),
        ..CheckSettings::default()
    }
}

#[test]
fn reports_equal_their_snapshots() {
    let folders = snapshots::folders("check");
    assert!(folders.len() > 50, "only {} cases", folders.len());
    let name = |folder: &_| Path::display(folder).to_string();
    snapshots::assert_each(
        &folders,
        |folder| name(folder),
        |folder| {
            let sources = Sources::Folder { root: folder.clone(), flows: "".into() };
            let checked = check(&sources, &settings(folder));
            let report = text(&Report::new(&checked, &sources), false);
            snapshots::settings(folder).bind(|| insta::assert_snapshot!("report", snapshots::text(&report)));
        },
    );
}
