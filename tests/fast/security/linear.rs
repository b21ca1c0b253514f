//! Files of many small parts: the work is proportional to their size.
//!
//! Each file takes the program about a second. The limit of a hundred seconds is far beyond what a busy machine adds, and below
//! what quadratic work takes.

use std::fmt::Write as _;
use std::fs;

use crate::shared::program::{Program, ProgramOutput};

/// Checks a project of these flow files.
#[track_caller]
fn check(files: &[(String, String)], format: &str) -> ProgramOutput {
    let project = tempfile::tempdir().unwrap();
    fs::create_dir(project.path().join("flows")).unwrap();
    for (name, content) in files {
        fs::write(project.path().join("flows").join(name), content).unwrap();
    }
    let output = Program::in_folder(project.path())
        .shell(&format!("timeout --signal=KILL 100 flowsmith check --format {format}"));
    assert!(matches!(output.exit, Some(0 | 4)), "exit code {:?}: {}", output.exit, output.stderr);
    output
}

fn check_one(content: String, format: &str) -> ProgramOutput {
    check(&[("order.yaml".to_owned(), content)], format)
}

/// A text for each number, joined.
fn lines(count: usize, line: impl Fn(usize) -> String) -> String {
    (0..count).map(line).collect()
}

#[test]
fn documents_of_one_flow() {
    let flows = "flow: order\nsteps: { load: {} }\n---\n".repeat(10_000);
    let text = check_one(flows.clone(), "text");
    assert_eq!(text.stdout.matches("error[FS205]").count(), 500);
    assert!(text.stdout.contains("\n9499 more findings are not shown"), "no rest is counted");
    assert!(text.stdout.ends_with("9999 errors in 1 file\n"));
    let json = check_one(flows.clone(), "json");
    assert_eq!((json.exit, json.stdout.matches("\"FS205\"").count()), (Some(4), 9_999));
    let github = check_one(flows, "github");
    assert_eq!(github.stdout.matches("::error ").count(), 500);
    assert!(github.stdout.contains("\n::notice::9499 more findings"));
}

#[test]
fn warnings_do_not_hide_errors() {
    let mut flows = lines(600, |number| {
        format!("flow: f{number}\nsteps: {{ load: {{}} }}\ntriggers: [{{ name: t, table: orders }}]\n---\n")
    });
    flows.push_str("flow: last\nsteps: { load: { depends_on: [lost] } }\n");
    let files: Vec<_> =
        flows.split("---\n").enumerate().map(|(at, flow)| (format!("f{at:03}.yaml"), flow.into())).collect();
    let text = check(&files, "text").stdout;
    assert!(text.contains("error[FS301]") && text.contains("101 more findings are not shown"), "{text}");
    assert!(text.ends_with("1 error and 600 warnings in 601 files\n"), "{text}");
}

#[test]
fn files_of_one_flow_after_a_large_one() {
    let mut first = "flow: order\nsteps: { load: {} }\n".to_owned();
    first.push_str(&"# comment\n".repeat(200_000));
    let flow = |number| (format!("f{number:05}.yaml"), "flow: order\nsteps: { load: {} }\n".to_owned());
    let files: Vec<_> = [("a.yaml".to_owned(), first)].into_iter().chain((0..1_500).map(flow)).collect();
    assert_eq!(check(&files, "json").stdout.matches("\"FS205\"").count(), 1_500);
}

#[test]
fn unknown_dependencies() {
    for key in ["depends_on: [", "map: "] {
        let close = if key.ends_with('[') { "]" } else { "" };
        let steps = lines(5_000, |number| format!("  step{number}: {{ {key}stepx{number}{close} }}\n"));
        let output = check_one(format!("flow: order\nsteps:\n{steps}"), "text");
        assert_eq!(output.stdout.matches("error[FS301]").count(), 200);
        assert!(output.stdout.contains("help: did you mean `step"), "no suggestion");
    }
}

#[test]
fn overrides_of_an_environment() {
    let (mut flow, mut removed) = ("flow: order\nsteps:\n  last: {}\n".to_owned(), String::new());
    for number in 0..40_000 {
        writeln!(flow, "  s{number}: {{}}").unwrap();
        writeln!(removed, "      s{number}: null").unwrap();
    }
    let output = check_one(format!("{flow}environments:\n  prod:\n    steps:\n{removed}"), "text");
    assert_eq!(output.exit, Some(0), "{}", output.stdout);
}

#[test]
fn patterns_with_long_lists() {
    let list = |numbers: &mut dyn Iterator<Item = usize>| {
        numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
    };
    let (condition, exclusion) = (list(&mut (0..80_000)), list(&mut (0..80_000).rev()));
    let flow =
        format!("flow: order\nsteps:\n  a: {{ if: {{ x: [{condition}] }}, if_not: {{ x: [{exclusion}, -1] }} }}\n");
    assert_eq!(check_one(flow, "text").exit, Some(0));
}

#[test]
fn messages_about_many_and_long_names_are_short() {
    let names = lines(3_000, |number| format!("a{number}, "));
    let conditions = lines(3_000, |number| format!("b{number}: 1, "));
    let steps = lines(3_000, |number| format!("  a{number}: {{}}\n"));
    let flow = format!("flow: order\nsteps:\n{steps}  z: {{ depends_on: [{names}], if: {{ {conditions} }} }}\n");
    let output = check_one(flow, "json");
    assert!(output.stdout.contains("or 2976 more") && output.stdout.len() < 500_000, "{} bytes", output.stdout.len());

    let (long, other) = ("a".repeat(1_000_000), "ab".repeat(500_000));
    let steps = lines(5, |number| format!("  {long}{number}: {{ depends_on: [{other}{number}] }}\n"));
    let output = check_one(format!("flow: order\nsteps:\n{steps}"), "text");
    assert!(output.stdout.len() < 50_000, "{} bytes", output.stdout.len());
}

#[test]
fn findings_on_one_long_line() {
    let steps = lines(20_000, |number| format!("é{number}: {{ ü{number}: 1 }},"));
    let output = check_one(format!("{{ flow: order, steps: {{ {steps} }} }}"), "text");
    assert_eq!(output.stdout.matches("error[").count(), 201);
    assert!(output.stdout.len() < 100_000, "{} bytes", output.stdout.len());
}

#[test]
fn migrations_and_lines_of_the_sum_file() {
    let project = tempfile::tempdir().unwrap();
    let migrations = project.path().join("migrations");
    fs::create_dir_all(project.path().join("flows")).unwrap();
    fs::create_dir(&migrations).unwrap();
    let sum = lines(50_000, |number| format!("20260101{:06}_x.sql {}\n", number, "0".repeat(64)));
    fs::write(migrations.join("flowsmith.sum"), sum).unwrap();
    let output = Program::in_folder(project.path()).shell("timeout --signal=KILL 100 flowsmith compile --check");
    assert_eq!(output.exit, Some(5), "{}", output.stderr.len());
}
