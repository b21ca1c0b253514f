//! Checking some files of a project reports the same about them as checking all files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use flowsmith_core::check::{CheckSettings, check, check_files};
use flowsmith_core::finding::Code;
use flowsmith_core::source::Sources;

fn project(files: &[(&str, &str)]) -> Sources {
    Sources::Memory(
        files.iter().map(|(name, text)| (PathBuf::from(name), text.as_bytes().to_vec())).collect::<BTreeMap<_, _>>(),
    )
}

fn found(files: &[(&str, &str)], only: &str) -> Vec<(Code, PathBuf)> {
    let checked = check_files(&[PathBuf::from(only)], &project(files), &CheckSettings::default());
    checked.findings.into_iter().map(|finding| (finding.code, finding.file)).collect()
}

const LOAD: &str = "steps: { load: {} }\n";

#[test]
fn only_requested_files_are_reported() {
    let bad = "flow: bad\nsteps: { load: { timeout: 0 } }\n";
    let worse = "flow: worse\nsteps: { load: { timeout: 0 } }\n";
    let files = [("bad.yaml", bad), ("good.yaml", "flow: good\nsteps: { load: {} }\n"), ("worse.yaml", worse)];
    assert_eq!(found(&files, "bad.yaml"), [(Code::OutOfRange, "bad.yaml".into())]);
    assert_eq!(found(&files, "good.yaml"), []);
}

#[test]
fn collisions_with_other_files_are_found_in_any_notation() {
    for other in [
        format!("flow: order\n{LOAD}"),
        format!("\"flow\": order\n{LOAD}"),
        format!("{LOAD}flow: 'order' # the one\n"),
        "{ flow: order, steps: { load: {} } }\n".to_owned(),
        format!("flow: &name order\n{LOAD}"),
        format!("flow: other\n{LOAD}---\nflow: order\n{LOAD}"),
        format!("flow:\n  order\n{LOAD}"),
        format!(" flow: order\n {LOAD}"),
        "fl\u{6f}w: \"\\x6frder\"\nsteps: { load: {} }\n".to_owned(),
    ] {
        for (mine, other_name) in [("a.yaml", "b.yaml"), ("b.yaml", "a.yaml")] {
            let own = format!("flow: order\n{LOAD}");
            let findings = found(&[(mine, &own), (other_name, &other)], mine);
            assert_eq!(findings, [(Code::DuplicateFlow, "b.yaml".into())], "{other}");
        }
    }
    let toml = [
        ("a.yaml", "flow: order\nversion: 2\nsteps: { load: {} }\n"),
        ("b.toml", "flow = \"Order_V2\"\n[steps.load]\n"),
    ];
    assert_eq!(found(&toml, "a.yaml"), [(Code::CaseCollision, "b.toml".into())]);
}

#[test]
fn missing_file_is_a_finding() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(folder.path().join("flows")).expect("flows");
    let only = [PathBuf::from("flows/gone.yaml")];
    let checked = check_files(&only, &Sources::project(folder.path()), &CheckSettings::default());
    assert_eq!(checked.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), [Code::Unreadable]);
    assert_eq!(checked.findings[0].message, "no such file");
    let help = |name: &str| {
        let files = [("flows/order.yaml", "flow: order\nsteps: { load: {} }\n"), ("flows/x.toml", "flow = \"x\"\n")];
        let checked = check_files(&[PathBuf::from(name)], &project(&files), &CheckSettings::default());
        checked.findings[0].help.clone().unwrap()
    };
    assert_eq!(help("flows/ordr.yaml"), "did you mean `flows/order.yaml`?");
    assert_eq!(help("flow/order.yml"), "did you mean `flows/order.yaml`?");
    assert!(help("flows/zz.yaml").contains("relative to the current folder"));
}

#[test]
fn states_and_digests_equal_those_of_the_whole_project() {
    let files = [
        ("a.yaml", "flow: a\nsteps: { load: {} }\n---\nflow: a\nversion: 2\nsteps: { load: {} }\n"),
        ("b.yaml", "flow: b\nsteps: { load: {} }\n"),
    ];
    let whole = check(&project(&files), &CheckSettings::default());
    let part = check_files(&["a.yaml".into()], &project(&files), &CheckSettings::default());
    assert_eq!(part.catalog.len(), 2);
    for (slug, flow) in part.catalog.iter() {
        assert_eq!(whole.catalog.get(slug), Some(flow));
    }
}
