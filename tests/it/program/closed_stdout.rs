//! If stdout is closed, a command that only reads exits quietly, and a command that writes completes its work.

use std::process::Stdio;

use crate::engine::definitions::text;
use crate::fixture::command::{Project, flowsmith_engine};
use crate::program::connecting::ways_to_connect;
use crate::shared::program::Program;
use crate::shared::program::commands;

/// Runs a command with a closed stdout. Returns its exit code and stderr.
fn unread(project: &Project, arguments: &[&str]) -> (Option<i32>, String) {
    let mut child = project.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn writing_commands_complete_if_stdout_is_closed() {
    let database = crate::fixture::Database::create().await;
    let project = Project::on(&database);
    project.flow("order", "", "  load: {}");
    // The pipe is closed before the second line.
    for _ in 0..2 {
        let (code, stderr) = unread(&project, &["up"]);
        assert_eq!((code, stderr.as_str()), (Some(0), ""));
    }
    assert!(project.succeeds(&["status"]).stdout.contains("1 migration, 0 pending"));
    project.flow("order", "", "  load: { max_attempts: 7 }");
    assert_eq!(unread(&project, &["compile"]).0, Some(0));
    assert_eq!(project.migrations().len(), 2);
    for command in ["apply", "install"] {
        assert_eq!(unread(&project, &[command]).0, Some(0), "{command}");
    }
    project.succeeds(&["plan"]);
    assert_eq!(unread(&project, &["start", "order"]).0, Some(0));
    let runs = text(&mut database.connect().await, "(select count(*) from pgflow.runs)::text").await.unwrap();
    assert_eq!(runs, "1");
    // A failure is reported as usual.
    project.write("flows/bad.yaml", "flow: bad\nsteps: { load: { depends_on: [lod] } }\n");
    let (code, stderr) = unread(&project, &["up"]);
    assert!(code == Some(4) && stderr.contains("error: the flow files have errors"), "{code:?}: {stderr}");
}

#[tokio::test]
async fn reading_commands_exit_quietly_if_stdout_is_closed() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    project.flow("order", "", "  load: {}");
    project.compile();
    project.succeeds(&["apply"]);
    let run = project.succeeds(&["start", "order"]).stdout;
    let run = run.trim();
    let changing = [
        "up", "compile", "apply", "pull", "install", "worker", "bench", "start", "retry", "cancel", "pause", "resume",
        "prune",
    ];
    let mut reading = vec![vec!["check"], vec!["explain"], vec!["schema"], vec!["completions", "bash"], vec!["--help"]];
    for command in commands(&Program::in_folder(".")).iter().filter(|command| !changing.contains(&command.as_str())) {
        match command.as_str() {
            "graph" => reading.push(vec!["graph", "order"]),
            "retire" => reading.push(vec!["retire"]),
            "show" | "watch" => reading.push(vec![ways_to_connect(command)[0][0], run]),
            _ => reading.extend(ways_to_connect(command).iter().map(|way| way.to_vec())),
        }
    }
    for way in reading {
        assert_eq!(unread(&project, &way), (Some(141), String::new()), "{way:?}");
    }
}

#[test]
fn unwritable_report_is_a_failure() {
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").map(Stdio::from);
    let Ok(stdout) = full() else { return crate::shared::skip("there is no /dev/full") };
    let project = Project::new();
    project.flow("order", "", "  load: {}");
    let output = project.command(&["check"]).stdout(stdout).stderr(Stdio::piped()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(1) && stderr.contains("error[FS801]: cannot write the report"), "{stderr}");
    let output = project.command(&["compile"]).stdout(full().unwrap()).stderr(Stdio::piped()).output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(0) && stderr.contains("warning: cannot write to stdout"), "{stderr}");
    assert_eq!(project.migrations().len(), 1);
}
