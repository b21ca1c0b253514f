//! Handlers that flow files declare.

use flowsmith_core::diagnostic::Diagnostic as _;
use std::collections::HashMap;
use std::fs;
use std::time::{Duration, Instant};

use flowsmith_core::check::{CheckSettings, check};
use flowsmith_core::source::Sources;
use flowsmith_worker::{Builder, Event};
use serde_json::{Value, json};

use super::http_server::HttpServer;
use super::{Fixture, WAIT_TIMEOUT};
use crate::engine::definitions::execute;
use crate::fixture::command::{Project, flowsmith_engine, official_engine};
use crate::fixture::{Database, is_alive};

/// A database with the applied flow `f` of these steps, and its flow file.
pub(super) async fn applied(database: Database, steps: &str) -> (Fixture, String) {
    let project = Project::on(&database);
    project.flow("f", "defaults: { max_attempts: 2, base_delay: 0 }", steps);
    project.compile();
    project.succeeds(&["apply"]);
    let file = project.read("flows/f.yaml");
    (Fixture::on(database, "select 1").await, file)
}

/// A worker with the handlers of the flow file.
pub(crate) fn declared(builder: Builder, file: &str, variables: &[(&str, &str)]) -> Builder {
    let checked = check(&Sources::one("flows/f.yaml", file), &CheckSettings::default());
    assert_eq!(checked.findings, []);
    let variables: HashMap<_, _> = variables.iter().copied().collect();
    let flow = checked.catalog.get("f").unwrap();
    builder.declared(flow, &|name| variables.get(name).map(ToString::to_string)).unwrap()
}

/// The attempts and errors of the tasks, by step.
pub(super) const ERRORS: &str =
    "(select jsonb_object_agg(step_slug, to_jsonb(attempts_count) || to_jsonb(error_message)) from pgflow.step_tasks)";

#[tokio::test]
async fn exec_passes_input_and_output_and_logs_stderr() {
    let (mut fixture, file) = applied(
        flowsmith_engine().await,
        r#"  echo: { handler: { exec: ["sh", "-c", "cat; echo one >&2; echo two >&2"] } }
  line: { depends_on: [echo], handler: { exec: "printf '[\"%s\", %s]' \"$FLOWSMITH_STEP\" \"$(cat)\"" } }
  none: { handler: { exec: ["true"] } }
  who: { map: line, handler: { exec: "cat > /dev/null; echo \"{\\\"index\\\": $FLOWSMITH_TASK_INDEX}\"" } }"#,
    )
    .await;
    let worker = fixture.work(declared(fixture.builder(), &file, &[])).await;
    let run = fixture.start("f", r#"{"n": 12345678901234567890.5, "t": "ü\\n"}"#).await;
    let (status, output) = fixture.end_of(&run).await;
    assert_eq!(status, "completed");
    assert_eq!(output, json!({ "none": null, "who": [{ "index": 0 }, { "index": 1 }] }));
    // Numbers keep all of their digits.
    let line = fixture.text("(select output::text from pgflow.step_states where step_slug = 'line')").await;
    assert_eq!(line, r#"["line", {"echo": {"n": 12345678901234567890.5, "t": "ü\\n"}}]"#);
    let report = |expected: &'static str| move |event: &Event| matches!(event, Event::TaskLogged { task, line } if task.step == "echo" && line == expected);
    assert!(fixture.events.find(report("one")).is_some() && fixture.events.find(report("two")).is_some());
    worker.stop().await;
}

#[tokio::test]
async fn handlers_receive_attempt_and_idempotency_key() {
    let server = HttpServer::start().await;
    let steps = r#"  exec: { handler: { exec: "echo $FLOWSMITH_ATTEMPT $FLOWSMITH_IDEMPOTENCY_KEY >&2; [ $FLOWSMITH_ATTEMPT = 2 ] && echo 1" } }
  sql: { handler: { sql: "select array[1 / (:attempt - 1), :task_index]" } }
  http: { handler: { http: "${env:BASE}/echo" } }"#;
    for database in [flowsmith_engine().await, official_engine().await] {
        let (mut fixture, file) = applied(database, steps).await;
        let worker = fixture.work(declared(fixture.builder(), &file, &[("BASE", &server.base())])).await;
        let run = fixture.start("f", "{}").await;
        let (status, output) = fixture.end_of(&run).await;
        assert_eq!((status.as_str(), &output["exec"], &output["sql"]), ("completed", &json!(1), &json!([1, 0])));
        for attempt in [1, 2] {
            let expected = format!("{attempt} {run}/exec/0");
            let report = |event: &Event| matches!(event, Event::TaskLogged { line, .. } if *line == expected);
            assert_eq!(fixture.events.count(report), 1, "{expected}");
        }
        let headers = &output["http"]["headers"];
        assert_eq!(headers["idempotency-key"], format!("{run}/http/0"));
        assert_eq!(
            (&headers["flowsmith-attempt"], &headers["flowsmith-run-id"], &headers["flowsmith-step"]),
            (&json!("1"), &json!(run), &json!("http"))
        );
        worker.stop().await;
    }
}

#[tokio::test]
async fn exec_failures_are_reported_and_retried() {
    let (mut fixture, file) = applied(
        flowsmith_engine().await,
        r#"  code: { when_exhausted: skip, handler: { exec: "for n in 1 2 3 4 5 6; do echo line $n >&2; done; exit 7" } }
  killed: { when_exhausted: skip, handler: { exec: "kill -TERM $$" } }
  absent: { when_exhausted: skip, handler: { exec: ["/no/such/program"] } }
  prose: { when_exhausted: skip, handler: { exec: ["echo", "all fine"] } }"#,
    )
    .await;
    let worker = fixture.work(declared(fixture.builder(), &file, &[])).await;
    let run = fixture.start("f", "{}").await;
    assert_eq!(fixture.end_of(&run).await, ("completed".to_owned(), json!({})));
    let errors: Value = serde_json::from_str(&fixture.text(ERRORS).await).unwrap();
    assert_eq!(errors["code"], json!([2, "sh exited with exit status: 7: line 2\nline 3\nline 4\nline 5\nline 6"]));
    assert_eq!(errors["killed"], json!([2, "sh exited with signal: 15 (SIGTERM)"]));
    assert_eq!(errors["absent"], json!([2, "cannot run /no/such/program: No such file or directory (os error 2)"]));
    let prose = errors["prose"][1].as_str().unwrap();
    assert!(
        prose.starts_with("the output of echo is not JSON: expected value at line 1") && prose.ends_with(": all fine"),
        "{prose}"
    );
    worker.stop().await;
}

pub(super) async fn until_dead(pids: &[i32]) {
    let deadline = Instant::now() + WAIT_TIMEOUT;
    // A zombie process still has its id.
    let is_gone = |pid: &i32| {
        !is_alive(*pid) || fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
    };
    while !pids.iter().all(is_gone) {
        assert!(Instant::now() < deadline, "some processes are still running: {pids:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn exec_timeout_kills_the_process_group() {
    let folder = tempfile::tempdir().unwrap();
    let (hung, left) = (folder.path().join("hung"), folder.path().join("left"));
    let steps = format!(
        r#"  hangs: {{ timeout: 1, max_attempts: 1, when_exhausted: skip, handler: {{ exec: "sleep 1000 & echo $! $$ > {}; trap '' TERM; wait" }} }}
  leaves: {{ handler: {{ exec: "sleep 1000 & echo $! > {}; echo 1" }} }}"#,
        hung.display(),
        left.display()
    );
    let (mut fixture, file) = applied(flowsmith_engine().await, &steps).await;
    let worker = fixture.work(declared(fixture.builder(), &file, &[])).await;
    let run = fixture.start("f", "{}").await;
    assert_eq!(fixture.end_of(&run).await, ("completed".to_owned(), json!({ "leaves": 1 })));
    let error = "(select error_message from pgflow.step_tasks where step_slug = 'hangs')";
    assert_eq!(fixture.text(error).await, "timed out after 1 s");
    let pids = |file| -> Vec<i32> {
        fs::read_to_string(file).unwrap().split_whitespace().map(|pid| pid.parse().unwrap()).collect()
    };
    assert_eq!((pids(&hung).len(), pids(&left).len()), (2, 1));
    until_dead(&pids(&hung)).await;
    until_dead(&pids(&left)).await;
    worker.stop().await;
}

#[tokio::test]
async fn http_sends_the_input_and_secrets_of_the_environment() {
    let server = HttpServer::start().await;
    let base = server.base();
    let steps = r#"  post: { handler: { http: "${env:BASE}/echo" } }
  get:
    depends_on: [post]
    handler: { http: { url: "${env:BASE}/echo?key=${env:KEY}", method: GET, headers: { Authorization: "Bearer ${env:TOKEN}" } } }
  empty: { handler: { http: { url: "${env:BASE}/empty", method: PUT } } }"#;
    let (mut fixture, file) = applied(official_engine().await, steps).await;
    let variables = [("BASE", base.as_str()), ("KEY", "k1"), ("TOKEN", "s3cret")];
    let worker = fixture.work(declared(fixture.builder(), &file, &variables)).await;
    let run = fixture.start("f", r#"{"id": 7}"#).await;
    let (status, output) = fixture.end_of(&run).await;
    assert_eq!(status, "completed");
    worker.stop().await;
    assert_eq!(output["empty"], Value::Null);
    let get = &output["get"];
    assert_eq!((&get["line"], &get["body"]), (&json!("GET /echo?key=k1 HTTP/1.1"), &json!("")));
    assert_eq!(get["headers"]["authorization"], "Bearer s3cret");
    assert_eq!(get["headers"]["idempotency-key"], format!("{run}/get/0"));
    let post = fixture.text("(select output from pgflow.step_tasks where step_slug = 'post')").await;
    let post: Value = serde_json::from_str(&post).unwrap();
    assert_eq!((&post["line"], &post["body"]), (&json!("POST /echo HTTP/1.1"), &json!(r#"{"run": {"id": 7}}"#)));
    assert_eq!(post["headers"]["content-type"], "application/json");
}

#[tokio::test]
async fn http_4xx_is_permanent_and_5xx_is_retried() {
    let server = HttpServer::start().await;
    let names = ["404", "422", "500", "503", "429", "302", "prose", "cut"];
    let steps: Vec<String> = names
        .iter()
        .map(|name| format!("  a{name}: {{ when_exhausted: skip, handler: {{ http: \"${{env:BASE}}/{name}\" }} }}"))
        .chain(["  closed: { when_exhausted: skip, handler: { http: \"http://127.0.0.1:1/x\" } }".to_owned()])
        .chain(["  twice: { handler: { http: \"${env:BASE}/once-500\" } }".to_owned()])
        .collect();
    let (mut fixture, file) = applied(flowsmith_engine().await, &steps.join("\n")).await;
    let worker = fixture.work(declared(fixture.builder(), &file, &[("BASE", &server.base())])).await;
    let run = fixture.start("f", "{}").await;
    assert_eq!(fixture.end_of(&run).await, ("completed".to_owned(), json!({ "twice": "now" })));
    worker.stop().await;
    let errors: Value = serde_json::from_str(&fixture.text(ERRORS).await).unwrap();
    assert_eq!(errors["a404"], json!([1, "POST ${env:BASE}/404 answered 404 Not Found: {\"why\": \"404\"}"]));
    assert_eq!(errors["a422"][0], 1);
    assert_eq!(
        errors["a500"],
        json!([2, "POST ${env:BASE}/500 answered 500 Internal Server Error: {\"why\": \"500\"}"])
    );
    assert_eq!((&errors["a503"][0], &errors["a429"][0], &errors["acut"][0]), (&json!(2), &json!(2), &json!(2)));
    let redirected =
        "POST ${env:BASE}/302 answered 302 Found to /echo; redirects are not followed, so use that address";
    assert_eq!(errors["a302"], json!([1, redirected]));
    assert_eq!(errors["aprose"][0], 1);
    assert!(errors["aprose"][1].as_str().unwrap().contains("a body that is not JSON: expected value"), "{errors}");
    assert_eq!(errors["closed"][0], 2);
    assert!(errors["closed"][1].as_str().unwrap().contains("Connection refused"), "{errors}");
    assert_eq!(errors["twice"][0], 2);
}

#[tokio::test]
async fn http_errors_do_not_quote_secrets_that_the_server_repeats() {
    let server = HttpServer::start().await;
    let step = |path: &str| {
        format!(
            "  {path}: {{ max_attempts: 1, when_exhausted: skip, handler: {{ http: {{ url: \"${{env:BASE}}/{}?key=${{env:KEY}}\", headers: {{ Authorization: \"${{env:TOKEN}}\" }} }} }} }}",
            path.replace('_', "-")
        )
    };
    let steps = [step("leak_302"), step("leak_500")].join("\n");
    let (mut fixture, file) = applied(flowsmith_engine().await, &steps).await;
    let variables = [("BASE", &*server.base()), ("KEY", "keyS3cret"), ("TOKEN", "tokenS3cret")];
    let worker = fixture.work(declared(fixture.builder(), &file, &variables)).await;
    let run = fixture.start("f", "{}").await;
    assert_eq!(fixture.end_of(&run).await.0, "completed");
    worker.stop().await;
    let errors: Value = serde_json::from_str(&fixture.text(ERRORS).await).unwrap();
    assert!(!errors.to_string().contains("S3c"), "{errors}");
    let redirected = "POST ${env:BASE}/leak-302?key=${env:KEY} answered 302 Found to https://x.test/${env:TOKEN}?…; redirects are not followed, so use that address";
    assert_eq!(errors["leak_302"][1], redirected);
    assert!(errors["leak_500"][1].as_str().unwrap().contains("answered 500"), "{errors}");
}

#[tokio::test]
async fn unset_variable_is_named_and_values_are_never_quoted() {
    let steps = r#"  a: { handler: { http: { url: "${env:BASE}", headers: { A: "${env:TOKEN}" } } } }"#;
    let file = format!("flow: f\nsteps:\n{steps}\n");
    let checked = check(&Sources::one("flows/f.yaml", file.as_str()), &CheckSettings::default());
    let flow = checked.catalog.get("f").unwrap();
    let refused = |variables: &[(&str, &str)]| {
        let variables: HashMap<_, _> = variables.iter().copied().collect();
        let look_up = |name: &str| variables.get(name).map(ToString::to_string);
        let error = flowsmith_worker::Worker::builder().declared(flow, &look_up).err().expect("a refusal");
        (error.code().as_str(), error.to_string())
    };
    let unset = "f, step a: environment variable BASE is not set; f, step a: environment variable TOKEN is not set";
    assert_eq!(refused(&[]), ("FS984", unset.to_owned()));
    let (code, message) = refused(&[("BASE", "no address s3cret"), ("TOKEN", "x")]);
    assert_eq!((code, message.contains("s3cret")), ("FS987", false), "{message}");
    let (code, message) = refused(&[("BASE", "http://x.test"), ("TOKEN", "s3cret\n")]);
    assert_eq!((code, message.contains("s3cret")), ("FS987", false), "{message}");
}

#[tokio::test]
async fn sql_query_and_completion_are_one_transaction() {
    for database in [flowsmith_engine().await, official_engine().await] {
        let mut c = database.connect().await;
        execute(
            &mut c,
            "create table done (run_id uuid, step text, at xid8 default pg_current_xact_id(), input jsonb);
             create type color as enum ('red'); create function nothing() returns void language sql as ''",
        )
        .await;
        // Some of these types can be converted to JSON only by PostgreSQL.
        let steps = r#"  write: { handler: { sql: "insert into done (run_id, step, input) values (:run_id, 'write', :input) returning at::text" } }
  types: { depends_on: [write], handler: { sql: "select array[1.50, null]" } }
  color: { handler: { sql: "select 'red'::color" } }
  time: { handler: { sql: "select timestamptz '2020-01-01 00:00+00' at time zone 'utc'" } }
  json: { handler: { sql: "select json_build_object('a', 1.50, 'q', :input #>> '{}' is not null)" } }
  text: { handler: { sql: "select e'a\"b' as it" } }
  void: { handler: { sql: "select nothing()" } }
  none: { handler: { sql: "select 1 where false" } }
  big: { handler: { sql: "with made as (insert into done (step) values ('big') returning 1) select 12345678901234567890.5 from made" } }"#;
        let (mut fixture, file) = applied(database, steps).await;
        let worker = fixture.work(declared(fixture.builder(), &file, &[])).await;
        let run = fixture.start("f", r#"{"it's": "\\ :input"}"#).await;
        assert_eq!(fixture.end_of(&run).await.0, "completed");
        worker.stop().await;
        let output = fixture.text("(select output - 'write' from pgflow.runs)").await;
        let expected = r#"{"big": 12345678901234567890.5, "json": {"a": 1.50, "q": true}, "none": null, "text": "a\"b", "time": "2020-01-01T00:00:00", "void": null, "color": "red", "types": [1.50, null]}"#;
        assert_eq!(output, expected);
        let together =
            "(select count(*) from done d join pgflow.step_tasks t on t.run_id = d.run_id and t.step_slug = d.step
                         where t.xmin::text = d.at::text and t.output #>> '{}' = d.at::text)";
        assert_eq!(fixture.text(together).await, "1");
        let inputs = "(select string_agg(coalesce(input -> 'run', input) ->> 'it''s', '') from done)";
        assert_eq!(fixture.text(inputs).await, "\\ :input");
    }
}

#[tokio::test]
async fn sql_query_is_rolled_back_if_its_task_is_not_completed() {
    let database = flowsmith_engine().await;
    execute(&mut database.connect().await, "create table done (step text)").await;
    let insert =
        |step: &str, then: &str| format!("\"with made as (insert into done values ('{step}') returning 1) {then}\"");
    let steps = format!(
        "  error: {{ when_exhausted: skip, handler: {{ sql: {} }} }}
  rows: {{ when_exhausted: skip, handler: {{ sql: {} }} }}
  slow: {{ timeout: 1, max_attempts: 1, when_exhausted: skip, handler: {{ sql: {} }} }}",
        insert("error", "select 1 / (select 0 from made)"),
        insert("rows", "select n from made, generate_series(1, 3) n"),
        insert("slow", "select count(*) from made, pg_sleep(1000)"),
    );
    let (mut fixture, file) = applied(database, &steps).await;
    let worker = fixture.work(declared(fixture.builder(), &file, &[])).await;
    let run = fixture.start("f", "{}").await;
    assert_eq!(fixture.end_of(&run).await, ("completed".to_owned(), json!({})));
    worker.stop().await;
    assert_eq!(fixture.text("(select string_agg(step, ' ') from done)").await, "");
    let errors: Value = serde_json::from_str(&fixture.text(ERRORS).await).unwrap();
    assert_eq!(errors["error"], json!([2, "division by zero [SQLSTATE 22012]"]));
    assert_eq!(errors["rows"][0], 1);
    assert!(errors["rows"][1].as_str().unwrap().starts_with("the query returned more than one row"), "{errors}");
    assert_eq!(errors["slow"][0], 1);
    fixture.until("(select count(*) = 0 from pg_stat_activity where query like '%pg_sleep(1000)%' and pid <> pg_backend_pid() and state = 'active')").await;
}

#[tokio::test]
async fn sql_query_is_rolled_back_if_the_engine_rejects_the_output() {
    let database = flowsmith_engine().await;
    execute(&mut database.connect().await, "create table done (step text)").await;
    let steps = r#"  load: { handler: { sql: "insert into done values ('load') returning 'no array'" } }
  each: { map: load, handler: { exec: ["true"] } }"#;
    let (mut fixture, file) = applied(database, steps).await;
    let worker = fixture.work(declared(fixture.builder(), &file, &[])).await;
    let run = fixture.start("f", "{}").await;
    assert_eq!(fixture.end_of(&run).await.0, "failed");
    worker.stop().await;
    let error = "(select error_message from pgflow.step_tasks)";
    assert_eq!(fixture.text(error).await, "[TYPE_VIOLATION] Produced string instead of array");
    assert_eq!(fixture.text("(select count(*) from done)").await, "0");
}
