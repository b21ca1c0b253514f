//! `start`: versions, inputs, output, and `--wait`.

use std::io::Write as _;
use std::process::Stdio;

use flowsmith_postgres::engine::roles::{Role, RolePrefix};
use serde_json::Value;

use super::{OTHER, RUN, claim, complete, fail, json, parse_report, refused, shop, start};
use crate::fixture::runtime::{run, value};

#[tokio::test]
async fn start_uses_current_version_and_prints_only_run_id() {
    let (_database, project, mut c) = shop().await;
    start(&project, RUN);
    let started = value(&mut c, &format!("select flow_slug || input from pgflow.runs where run_id = '{RUN}'")).await;
    assert_eq!(started, r#"order_v2{"id": 7}"#);
    let run = json(&project, "run", &["start", "order@1", "--input", "null"]);
    assert_eq!((&run["run"]["flow"], &run["run"]["version"]), (&"order".into(), &1.into()));
    assert_eq!(json(&project, "run", &["start", "order_v2", "-i", r#"{"id": 8}"#])["run"]["version"], 2);
    // Without --run-id, the engine generates the id, and stdout contains only that.
    let id = project.succeeds(&["start", "order@1"]).stdout;
    assert_eq!(value(&mut c, &format!("select input from pgflow.runs where run_id = '{}'", id.trim())).await, "{}");
}

#[tokio::test]
async fn inputs_are_read_unchanged_from_files_and_stdin() {
    let (_database, project, mut c) = shop().await;
    let exact = r#"{"id": 12345678901234567890123, "text": "it's \\ ☃"}"#;
    project.write("order.json", exact);
    let id = project.succeeds(&["start", "order", "--input", "@order.json"]).stdout;
    let kept = value(&mut c, &format!("select input from pgflow.runs where run_id = '{}'", id.trim())).await;
    assert_eq!(kept, exact);

    let mut child =
        project.command(&["start", "order", "-i", "-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"{\"id\": 9}").unwrap();
    let id = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    assert_eq!(
        value(&mut c, &format!("select input from pgflow.runs where run_id = '{}'", id.trim())).await,
        r#"{"id": 9}"#
    );
    refused(&project, 1, "FS801", &["nothing.json"], &["start", "order", "-i", "@nothing.json"]);
}

#[tokio::test]
async fn invalid_start_is_reported_without_a_run() {
    let (_database, project, mut c) = shop().await;
    refused(&project, 1, "FS961", &["`ordr`", "did you mean `order`?"], &["start", "ordr"]);
    refused(&project, 1, "FS961", &["order@2"], &["start", "order@3"]);
    refused(&project, 64, "FS963", &["(line 1, column 2)"], &["start", "order", "-i", "{id: 7}"]);
    refused(&project, 5, "FS964", &["order@2", "\"id\" is a required property"], &["start", "order"]);
    refused(
        &project,
        5,
        "FS964",
        &["/id: \"x\" is not of type \"integer\""],
        &["start", "order", "-i", r#"{"id":"x"}"#],
    );
    assert_eq!(project.run(&["start", "order", "--run-id", "0f8f"]).code, 64);
    assert_eq!(value(&mut c, "select count(*) from pgflow.runs").await, "0");

    start(&project, RUN);
    refused(&project, 5, "FS967", &[RUN], &["start", "order@1", "--run-id", RUN]);
    // A flow with a root map requires an array as its input.
    run(&mut c, "select pgflow.create_flow('mapped'), pgflow.add_step('mapped', 'm', step_type => 'map')").await;
    refused(&project, 5, "FS964", &["must be an array"], &["start", "mapped", "-i", "{}"]);

    std::fs::remove_file(project.path("flows/order.yaml")).unwrap();
    project.compile();
    project.succeeds(&["apply"]);
    refused(
        &project,
        5,
        "FS962",
        &["order@2 is retired", "flowsmith start order@2"],
        &["start", "order", "-i", r#"{"id": 7}"#],
    );
    assert_eq!(value(&mut c, "select count(*) from pgflow.runs").await, "1");
}

/// The error names the problem and its line and column, for arguments, files and standard input alike.
#[tokio::test]
async fn unstorable_input_is_named() {
    let (_database, project, mut c) = shop().await;
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let inputs: [(&str, i32, &[&str]); 9] = [
        (&deep, 5, &["nested deeper than 127 levels", "line 1, column 128"]),
        ("{\"id\": 1,\n \"x\": 1e999}", 5, &["a number that is too large", "line 2, column 11"]),
        (r#"{"id": "a\u0000"}"#, 5, &["the character \\u0000", "line 1, column 10", "PostgreSQL"]),
        (r#"{"id": 1, "a\\\u0000b": 2}"#, 5, &["line 1, column 15"]),
        (r#"["\ud800"]"#, 5, &["an unpaired surrogate", "line 1"]),
        ("{\"id\": }", 64, &["is not JSON: ", "line 1, column 8"]),
        ("", 64, &["is empty"]),
        ("[1, 2", 64, &["is not JSON: "]),
        ("{'id': 7}", 64, &["is not JSON: ", "double quotes"]),
    ];
    for (input, exit, words) in inputs {
        let code = if exit == 64 { "FS963" } else { "FS964" };
        project.write("in.json", input);
        let in_file = [words, &["in.json"]].concat();
        refused(&project, exit, code, &in_file, &["start", "order@1", "-i", "@in.json"]);
        refused(&project, exit, code, words, &["start", "order@1", "--input", input]);
        let mut child = project.command(&["start", "order@1", "-i", "-"]);
        let mut child = child.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let ended = child.wait_with_output().unwrap();
        let message = String::from_utf8(ended.stderr).unwrap();
        assert_eq!(ended.status.code(), Some(exit), "{message}");
        assert!(
            message.contains(code)
                && message.contains("standard input")
                && words.iter().all(|word| message.contains(word)),
            "{message}"
        );
    }
    std::fs::write(project.path("in.json"), b"{\"id\": \"\xff\"}").unwrap();
    refused(&project, 64, "FS963", &["in.json is not UTF-8", "byte 8"], &["start", "order@1", "-i", "@in.json"]);
    assert_eq!(value(&mut c, "select count(*) from pgflow.runs").await, "0");
    // An escaped backslash before `u0000` is valid, and so is a byte order mark at the beginning of a file.
    let escaped = r#"{"id": 7, "path": "\\u0000", "far": "\ud83d\ude00", "deep": D}"#
        .replace('D', &format!("{}{}", "[".repeat(100), "]".repeat(100)));
    project.write("in.json", &format!("\u{feff}{escaped}"));
    let id = project.succeeds(&["start", "order", "-i", "@in.json"]).stdout;
    assert_eq!(
        value(&mut c, &format!("select input = '{escaped}'::jsonb from pgflow.runs where run_id = '{}'", id.trim()))
            .await,
        "true"
    );
}

#[tokio::test]
async fn wait_ends_with_run() {
    let (_database, project, mut c) = shop().await;
    let child = project.start(&["start", "order@1", "--run-id", RUN, "--wait"]);
    while value(&mut c, "select count(*) from pgmq.q_order").await != "1" {
        tokio::task::yield_now().await;
    }
    claim(&mut c, "order").await;
    complete(&mut c, RUN, "load", 0, "1").await;
    let ended = child.wait_with_output().unwrap();
    let message = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(
        (ended.status.code(), String::from_utf8(ended.stdout).unwrap()),
        (Some(0), format!("{RUN}\n")),
        "{message}"
    );
    assert!(message.contains("load  completed") && message.contains("run  completed"), "{message}");
    assert!(message.contains("note: order@1 is draining") && !message.contains("looking"), "it listens: {message}");

    let late = project.run(&["start", "order@1", "--wait", "--timeout", "300ms"]);
    assert_eq!(late.code, 1, "{late}");
    assert!(late.stderr.contains("FS975") && late.stdout.len() == 37, "{late}");
}

#[tokio::test]
async fn json_wait_reports_only_ended_run() {
    let (_database, project, mut c) = shop().await;
    let begun = json(&project, "run", &["start", "order", "-i", r#"{"id": 7}"#]);
    assert_eq!((&begun["run"]["steps"], &begun["run"]["remaining_steps"]), (&3.into(), &3.into()));
    let child = project.start(&["start", "order@1", "--run-id", RUN, "--wait", "--format", "json"]);
    while value(&mut c, "select count(*) from pgmq.q_order").await != "1" {
        tokio::task::yield_now().await;
    }
    claim(&mut c, "order").await;
    complete(&mut c, RUN, "load", 0, "[1]").await;
    let ended = parse_report("run", &String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap());
    assert_eq!((&ended["run"]["status"], &ended["output"]["load"]), (&"completed".into(), &serde_json::json!([1])));
    assert_eq!((&ended["run"]["remaining_steps"], &ended["error"]), (&0.into(), &Value::Null));

    run(&mut c, "update pgflow.flows set opt_max_attempts = 1").await;
    let child = project.start(&["start", "order@1", "--run-id", OTHER, "--wait", "--format", "json"]);
    while value(&mut c, "select count(*) from pgmq.q_order").await != "1" {
        tokio::task::yield_now().await;
    }
    claim(&mut c, "order").await;
    fail(&mut c, OTHER, "load", 0, "out of paper").await;
    let output = child.wait_with_output().unwrap();
    let ended = parse_report("run", &String::from_utf8(output.stdout).unwrap());
    assert_eq!((output.status.code(), &ended["run"]["status"]), (Some(1), &"failed".into()));
    assert_eq!((&ended["error"], &ended["output"]), (&"step load: out of paper".into(), &Value::Null));

    let late = project.run(&["start", "order@1", "--wait", "--timeout", "300ms", "--format", "json"]);
    assert_eq!((late.code, &parse_report("run", &late.stdout)["run"]["status"]), (1, &"started".into()), "{late}");
}

#[tokio::test]
async fn wait_reports_missing_worker_and_can_be_interrupted() {
    let (_database, project, mut c) = shop().await;
    let child = project.start(&["start", "order", "-i", r#"{"id": 7}"#, "--run-id", RUN, "--wait"]);
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    // The command handles Ctrl-C once it listens for events.
    let listens = "select count(*) from pg_stat_activity where datname = current_database() and application_name = 'flowsmith' and query ~ '(?i)^listen'";
    while value(&mut c, listens).await == "0" {
        tokio::task::yield_now().await;
    }
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let ended = child.wait_with_output().unwrap();
    let message = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(130), "{message}");
    for words in [
        "no worker of order@2 is running: no worker has ever registered; run `flowsmith worker order`".to_owned(),
        format!("Run {RUN} continues: `flowsmith watch {RUN}` follows it, `flowsmith cancel {RUN}` cancels it"),
    ] {
        assert!(message.contains(&words), "{words}: {message}");
    }
    assert_eq!(value(&mut c, "select status from pgflow.runs").await, "started");
    claim(&mut c, "order_v2").await;
    run(&mut c, "update pgflow.workers set last_heartbeat_at = now() - interval '2 h', deprecated_at = now()").await;
    let late = project.run(&["start", "order@1", "--wait", "--timeout", "300ms"]).stderr;
    assert!(late.contains("in a checkout of the commit that has this version") && late.contains("FS975"), "{late}");
    let late = project.run(&["start", "order@2", "-i", r#"{"id": 7}"#, "--wait", "--timeout", "300ms"]).stderr;
    assert!(
        late.contains(
            "no worker of order@2 is running: the last one was deprecated, and its last heartbeat was 2h ago;"
        ) && late.contains("within 300ms"),
        "{late}"
    );
}

/// If the connection is lost during a start, the run may exist, so the command does not start it again.
#[tokio::test]
async fn interrupted_start_is_reported_as_unknown() {
    let (database, project, mut c) = shop().await;
    let mut holder = database.connect().await;
    run(&mut holder, "begin; lock table pgflow.runs in exclusive mode").await;
    let child = project.start(&["start", "order@1"]);
    let blocked = "from pg_stat_activity where datname = current_database() and application_name = 'flowsmith' and wait_event_type = 'Lock'";
    while value(&mut c, &format!("select count(*) {blocked}")).await == "0" {
        tokio::task::yield_now().await;
    }
    run(&mut c, &format!("select pg_terminate_backend(pid) {blocked}")).await;
    let ended = child.wait_with_output().unwrap();
    let message = String::from_utf8(ended.stderr).unwrap();
    assert_eq!((ended.status.code(), ended.stdout.len()), (Some(1), 0), "{message}");
    assert!(message.contains("FS973") && message.contains("--run-id"), "{message}");
}

/// The client role of `install --grants` can start flows, but cannot read their definitions.
#[tokio::test]
async fn client_role_starts_and_waits() {
    let (database, project, mut c) = shop().await;
    let suffix = value(&mut c, "left(md5(current_database()), 8)").await;
    let prefix = format!("op_{suffix}");
    project.succeeds(&["install", "--grants", "--role-prefix", &prefix]);
    let group = RolePrefix::new(&prefix).unwrap().name(Role::Client);
    run(&mut c, &format!("create role {prefix}_app login in role {group}")).await;
    let url = database.url().replace("user=postgres", &format!("user={prefix}_app"));
    let id = project.succeeds(&["start", "order", "-i", r#"{"id": 7}"#, "--database", &url]).stdout;
    assert_eq!(
        value(&mut c, &format!("select flow_slug from pgflow.runs where run_id = '{}'", id.trim())).await,
        "order_v2"
    );
    let shown = project.succeeds(&["show", id.trim(), "--database", &url]).stdout;
    assert!(
        shown.contains("order_v2@1  started") && shown.contains("load  started") && shown.contains("ship  created"),
        "{shown}"
    );
    let child = project.start(&["start", "order", "-i", "1", "--run-id", RUN, "--wait", "--database", &url]);
    while value(&mut c, "select count(*) from pgflow.runs").await != "2" {
        tokio::task::yield_now().await;
    }
    run(&mut c, &format!("select pgflow.cancel_run('{RUN}')")).await;
    let ended = child.wait_with_output().unwrap();
    let message = String::from_utf8(ended.stderr).unwrap();
    assert!(
        message.contains("load  started") && message.contains("FS969") && message.contains("cancelled"),
        "{message}"
    );
    // The client can name flows only by their name in the flow file.
    refused(
        &project,
        1,
        "FS961",
        &["`nope`", "may not list the flows", "use the name in the flow file"],
        &["start", "nope", "--database", &url],
    );
    refused(&project, 1, "FS961", &["`order@1`", "`flowsmith start order`"], &["start", "order@1", "--database", &url]);
    std::fs::remove_file(project.path("flows/order.yaml")).unwrap();
    project.compile();
    project.succeeds(&["apply"]);
    refused(
        &project,
        5,
        "FS962",
        &["flow `order` has no current version: the flow is retired"],
        &["start", "order", "--database", &url],
    );
    let denied = project.run(&["runs", "--database", &url]);
    assert!(denied.code == 1 && denied.stderr.contains("FS905"), "{denied}");
    run(&mut c, &format!("drop owned by {prefix}_app, {group}; drop role {prefix}_app")).await;
}

/// docs/operating.md lists what each role can read.
#[tokio::test]
async fn read_commands_respect_privileges_of_roles() {
    let (database, project, mut c) = shop().await;
    let prefix = format!("op_{}", value(&mut c, "left(md5(current_database()), 8)").await);
    project.succeeds(&["install", "--grants", "--role-prefix", &prefix]);
    start(&project, RUN);
    start(&project, OTHER);
    run(&mut c, &format!("select pgflow.cancel_run('{RUN}')")).await;
    let looks: [&[&str]; 3] = [&["runs", "--failed"], &["show", RUN], &["workers"]];
    let queues: [&[&str]; 4] = [&["queues"], &["stalled"], &["stalled", "--requeue"], &["stats", "order"]];
    for (role, sees_queues) in [(Role::Deployer, false), (Role::Worker, true), (Role::Operator, true)] {
        let (group, login) = (RolePrefix::new(&prefix).unwrap().name(role), format!("{prefix}_login"));
        run(&mut c, &format!("create role {login} login in role {group}")).await;
        let url = database.url().replace("user=postgres", &format!("user={login}"));
        for arguments in looks {
            let shown = project.succeeds(&[arguments, &["--database", &url]].concat());
            assert!(arguments[0] != "show" || shown.stdout.contains("└─ ○ each"), "{role:?} sees definitions: {shown}");
        }
        for arguments in queues {
            let outcome = project.run(&[arguments, &["--database", &url]].concat());
            assert_eq!(outcome.code, i32::from(!sees_queues), "{role:?}: {outcome}");
        }
        if role != Role::Operator {
            refused(&project, 1, "FS905", &["permission denied"], &["retry", RUN, "--database", &url]);
        }
        run(&mut c, &format!("drop role {login}")).await;
    }
}
