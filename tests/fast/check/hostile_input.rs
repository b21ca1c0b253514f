//! Hostile input gives findings, in bounded time and without a panic.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use flowsmith::report::findings::{Report, github, json, sarif, text};
use flowsmith_core::check::{CheckSettings, Checked, check};
use flowsmith_core::finding::Code;
use flowsmith_core::source::Sources;

fn codes(checked: &Checked) -> Vec<Code> {
    checked.findings.iter().map(|finding| finding.code).collect()
}

/// Checks a text and writes its findings in every format, in bounded time.
fn check_text(name: &str, text_of_file: impl Into<Vec<u8>>) -> Checked {
    let sources = Sources::one(name, text_of_file);
    let start = Instant::now();
    let checked = check(&sources, &CheckSettings::default());
    let report = Report::new(&checked, &sources);
    for written in [text(&report, false), text(&report, true), json(&report), github(&report), sarif(&report)] {
        assert!(written.len() < 4_000_000, "{} bytes of report", written.len());
    }
    assert!(start.elapsed() < Duration::from_secs(60), "{name} took {:?}", start.elapsed());
    checked
}

fn check_folder(root: &Path) -> Checked {
    let sources = Sources::project(root);
    let checked = check(&sources, &CheckSettings::default());
    text(&Report::new(&checked, &sources), false);
    checked
}

const GOOD: &str = "flow: order\nsteps:\n  load: {}\n";

#[test]
fn millions_of_brackets_are_too_deep() {
    let brackets = "[".repeat(7_000_000);
    assert_eq!(codes(&check_text("a.yaml", brackets.clone())), [Code::TooDeep]);
    assert!(check_text("a.yaml", "{".repeat(7_000_000)).has_errors());
    assert!(check_text("a.yaml", "- ".repeat(3_500_000)).has_errors());
    assert!(check_text("a.yaml", "? ".repeat(1_000_000)).has_errors());
    assert!(check_text("a.toml", format!("a = {brackets}")).has_errors());
    assert!(check_text("a.toml", brackets).has_errors());
    assert!(check_text("a.toml", format!("a{} = 1", ".a".repeat(3_000_000))).has_errors());
}

#[test]
fn file_of_a_hundred_megabytes_is_not_read() {
    let project = tempfile::tempdir().expect("a folder");
    fs::create_dir(project.path().join("flows")).expect("flows");
    let file = fs::File::create(project.path().join("flows/big.yaml")).expect("a file");
    file.set_len(100 * 1024 * 1024).expect("a sparse file");
    assert_eq!(codes(&check_folder(project.path())), [Code::TooLarge]);
}

#[test]
fn unreadable_files_are_reported_and_the_others_checked() {
    let project = tempfile::tempdir().expect("a folder");
    let flows = project.path().join("flows");
    fs::create_dir_all(flows.join("folder.yaml")).expect("a folder");
    fs::write(flows.join("good.yaml"), GOOD).expect("a flow");
    fs::write(flows.join(".hidden.yaml"), "nonsense").expect("an editor's backup");
    symlink("nowhere", flows.join("dangling.yaml")).expect("a link");
    symlink("/dev/zero", flows.join("endless.yaml")).expect("a link");
    let checked = check_folder(project.path());
    assert_eq!(codes(&checked), [Code::Unreadable, Code::OutsideProject, Code::Unreadable]);
    assert_eq!(checked.catalog.len(), 1);
    assert_eq!(checked.files, 4);
}

#[test]
fn name_with_a_line_break_is_reported() {
    let project = tempfile::tempdir().expect("a folder");
    fs::create_dir(project.path().join("flows")).expect("flows");
    fs::write(project.path().join("flows/a\nb.yaml"), GOOD).expect("a flow");
    assert_eq!(codes(&check_folder(project.path())), [Code::FileName]);
}

#[test]
fn missing_folder_is_reported() {
    let project = tempfile::tempdir().expect("a folder");
    assert_eq!(codes(&check_folder(project.path())), [Code::Unreadable]);
}

#[test]
fn folder_loops_are_reported_and_flows_found_once() {
    let project = tempfile::tempdir().expect("a folder");
    let flows = project.path().join("flows");
    fs::create_dir_all(flows.join("shop")).expect("a folder");
    fs::write(flows.join("shop/good.yaml"), GOOD).expect("a flow");
    symlink("..", flows.join("shop/up")).expect("a link");
    symlink("shop", flows.join("twice")).expect("a link");
    let checked = check_folder(project.path());
    assert_eq!(codes(&checked), [Code::FolderLoop; 2]);
    assert_eq!(checked.catalog.len(), 1);
}

#[test]
fn findings_of_a_file_of_unknown_keys_are_limited() {
    let keys: String = (0..100_000).map(|number| format!("key{number}: 1\n")).collect();
    let checked = check_text("a.yaml", keys);
    assert_eq!(checked.findings.len(), 201);
    assert!(codes(&checked).contains(&Code::TooManyFindings));
}

#[test]
fn undeclared_environment_is_an_error() {
    let settings = CheckSettings { environment: Some("prod".to_owned()), ..CheckSettings::default() };
    assert_eq!(codes(&check(&Sources::one("a.yaml", GOOD), &settings)), [Code::UnknownEnvironment]);
}

#[test]
fn ten_thousand_steps_are_checked_in_a_second() {
    let mut flow = String::from("flow: big\nsteps:\n  step_0: {}\n");
    for number in 1..10_000 {
        let (before, half) = (number - 1, number / 2);
        let more = if half < before { format!(", step_{half}") } else { String::new() };
        flow.push_str(&format!("  step_{number}: {{ depends_on: [step_{before}{more}] }}\n"));
    }
    let checked = check_text("a.yaml", flow.clone());
    assert_eq!(checked.findings, []);
    assert_eq!(checked.steps, 10_000);
    // The first step depends on the last: one cycle of ten thousand steps, and thousands of shorter ones.
    let circle = flow.replace("step_0: {}", "step_0: { depends_on: [step_9999] }");
    assert_eq!(codes(&check_text("a.yaml", circle)), [Code::Cycle; 20]);
}

#[test]
fn line_of_a_megabyte_is_not_printed() {
    let line = format!("flow: order\nsteps: {{ load: {{ timout: 1, description: \"{}\" }} }}\n", "x".repeat(1_000_000));
    let sources = Sources::one("a.yaml", line);
    let checked = check(&sources, &CheckSettings::default());
    let written = text(&Report::new(&checked, &sources), false);
    assert_eq!(codes(&checked), [Code::UnknownKey]);
    assert!(written.len() < 500 && written.contains("a.yaml:2:18"), "{written}");
}

#[test]
fn schema_of_five_thousand_patterns_is_refused() {
    let patterns: String = (0..5_000).map(|number| format!("p{number}: {{ pattern: a }}, ")).collect();
    let flow = format!("flow: order\ninput: {{ properties: {{ {patterns} }} }}\nsteps: {{ load: {{}} }}\n");
    assert_eq!(codes(&check_text("a.yaml", flow)), [Code::ExpensiveSchema]);
}

#[test]
fn backtracking_patterns_do_not_hang() {
    let flow = "flow: order\ninput: { type: string, pattern: '^(a+)+$' }\nsteps:\n  load: {}\ntriggers:\n  - { name: t, cron: '@daily', input: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa! }\n";
    assert_eq!(codes(&check_text("a.yaml", flow)), [Code::TriggerInput]);
}

#[test]
fn hundred_thousand_aliases_are_refused() {
    let mut flow = String::from("flow: order\nlabels: { a: &a \"");
    flow.push_str(&"x".repeat(1000));
    flow.push_str("\" }\nsteps:\n");
    for number in 0..100_000 {
        flow.push_str(&format!("  s{number}: {{ description: *a }}\n"));
    }
    assert_eq!(codes(&check_text("a.yaml", flow)).first(), Some(&Code::AliasBomb));
}

#[test]
fn schema_of_the_maximum_depth_is_compiled() {
    let depth = 28;
    let schema = format!("{}{{ enum: [1] }}{}", "{ items: { not: ".repeat(depth), " } }".repeat(depth));
    let value = format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    let flow = format!(
        "flow: order\ninput: {schema}\nsteps:\n  load: {{}}\ntriggers:\n  - {{ name: t, cron: '@daily', input: {value} }}\n"
    );
    let checked = check_text("a.yaml", flow);
    assert!(codes(&checked).iter().all(|code| *code == Code::TriggerInput), "{:?}", checked.findings);
}

#[test]
fn recursive_schema_references_terminate() {
    let flow = "flow: order\ninput: { $ref: '#' }\nsteps:\n  load: { output: { anyOf: [{ $ref: '#' }, { $ref: '#/anyOf/0' }] } }\ntriggers:\n  - { name: t, cron: '@daily', input: 1 }\n";
    check_text("a.yaml", flow);
}

#[test]
fn hundred_thousand_environments_are_refused() {
    let environments: String = (0..100_000).map(|number| format!("  e{number}: {{ owner: me }}\n")).collect();
    let flow = format!("{GOOD}environments:\n{environments}");
    assert_eq!(codes(&check_text("a.yaml", flow)), [Code::TooManyEnvironments]);
}

#[test]
fn findings_in_thousands_of_files_are_all_located() {
    let flow = |number: usize| format!("flow: f{number}\nsteps:\n  load: {{ timeout: 0 }}\n").into_bytes();
    let files = (0..3000).map(|number| (format!("f{number}.yaml").into(), flow(number)));
    let sources = Sources::Memory(files.collect());
    let report = Report::new(&check(&sources, &CheckSettings::default()), &sources);
    assert_eq!(report.findings.len(), 3000);
    assert!(report.findings.iter().all(|located| located.at.as_ref().is_some_and(|at| at.start.line == 3)));
}
