//! Compares the recorded transitions of runs, steps and tasks with docs/state-machine.md.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::fixture::transitions;

/// Object, old status and new status.
type Transition = (String, String, String);

/// The functions of each transition, from the table in the documentation.
fn documented() -> BTreeMap<Transition, BTreeSet<String>> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/state-machine.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, section) = page.split_once("\n## Transitions\n").expect("a section of transitions");
    let section = section.split("\n## ").next().unwrap();
    let mut table = BTreeMap::new();
    for line in section.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [object, before, after, functions, _when] = cells.as_slice() else { panic!("five cells: {line}") };
        let functions = functions.split(", ").map(|name| name.trim_matches('`').to_owned()).collect();
        let transition = ((*object).to_owned(), (*before).to_owned(), (*after).to_owned());
        assert!(table.insert(transition, functions).is_none(), "written twice: {line}");
    }
    table
}

#[test]
fn documented_transitions_are_well_formed() {
    let table = documented();
    assert!(table.len() >= 20, "{table:?}");
    let states = |object: &str| -> BTreeSet<&str> {
        table.keys().filter(|key| key.0 == object).flat_map(|key| [key.1.as_str(), key.2.as_str()]).collect()
    };
    assert_eq!(states("run"), BTreeSet::from(["–", "completed", "failed", "started"]));
    assert_eq!(states("step"), BTreeSet::from(["–", "completed", "created", "failed", "skipped", "started"]));
    assert_eq!(states("task"), BTreeSet::from(["–", "completed", "failed", "queued", "started"]));
}

/// Runs after the rest of the suite, which has recorded the file; see `.ci/run`.
#[test]
#[ignore = "needs the file that a run of the whole suite has recorded"]
fn recorded_transitions_equal_the_documented_ones() {
    let file = transitions::file().expect("FLOWSMITH_TEST_TRANSITIONS names the recorded file");
    let text = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut recorded: BTreeMap<Transition, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines() {
        let [object, before, after, function] = line.split('\t').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let transition = (object.to_owned(), before.to_owned(), after.to_owned());
        recorded.entry(transition).or_default().insert(function.to_owned());
    }
    let documented = documented();
    let (seen, written): (BTreeSet<_>, BTreeSet<_>) = (recorded.keys().collect(), documented.keys().collect());
    assert_eq!(seen, written, "left: recorded by the suite; right: in docs/state-machine.md");
    for (transition, functions) in &recorded {
        let missing: Vec<_> = functions.difference(&documented[transition]).collect();
        assert!(
            missing.is_empty(),
            "{transition:?} is also made by {missing:?}, which docs/state-machine.md does not say"
        );
    }
}
