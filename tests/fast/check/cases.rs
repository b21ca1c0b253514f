//! Every folder under `tests/cases/check` is a project; `expected.txt` is what a person is told about it.
//! `UPDATE=1 cargo test check_cases` writes the expectations anew, to be read before they are committed.

use std::fs;
use std::path::Path;

use flowsmith::report::findings::{Report, text};
use flowsmith_core::check::{CheckSettings, check};
use flowsmith_core::source::Sources;

/// `engine 0.8.1` and `environment production`, one a line, in the file `settings`.
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
fn reports_say_what_is_expected() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/check");
    let mut folders: Vec<_> =
        fs::read_dir(&root).expect("the cases").map(|entry| entry.expect("a case").path()).collect();
    folders.sort();
    assert!(folders.len() > 50, "only {} cases", folders.len());
    let mut wrong = Vec::new();
    for folder in folders {
        let sources = Sources::Folder { root: folder.clone(), flows: "".into() };
        let checked = check(&sources, &settings(&folder));
        let written = text(&Report::new(&checked, &sources), false);
        let expected = folder.join("expected.txt");
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&expected, &written).expect("a place for the expectation");
        } else if fs::read_to_string(&expected).unwrap_or_default() != written {
            wrong.push(format!("{}:\n{written}", folder.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
