//! Text of others (flow files, the database, the names of roles and workers) is printed by every command, and acts on nothing: not
//! on the terminal, not on Markdown, not on HTML.

use flowsmith_core::visible::is_invisible;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::engine::definitions::{execute, text};
use crate::fixture::Database;
use crate::fixture::command::{Outcome, Project, flowsmith_engine};

/// Every kind of character that acts on a terminal, and of text that acts on Markdown and HTML.
const HOSTILE: &str = "hst\u{1b}[31mile\u{1b}[2J\u{1b}]0;t\u{7}\r\u{8}\u{7f}\u{85}\u{9b}2J\u{202e}\u{2066}\u{200f}\u{61c}\u{2028}\u{2029}\u{200b}\
                       \u{feff}\u{e0041}\u{ad} `x` | <script>alert(1)</script> @team [x](https://x.test) ![i](//y)";

/// Text of others never loses its control sequences silently, as it would if the colours were stripped from it.
fn assert_inert(case: &str, text: &str) {
    let raw: Vec<char> = text.chars().filter(|c| !matches!(c, '\n' | '\t') && is_invisible(*c)).collect();
    assert!(raw.is_empty(), "{case}: {raw:?} in {text}");
    assert!(!text.contains("hstile") && !text.contains("hstmile"), "{case}: {text}");
}

fn run(project: &Project, arguments: &[&str]) -> Outcome {
    let outcome = project.run(arguments);
    assert_inert(&format!("{arguments:?}"), &outcome.all_output());
    // With colours, only colours are left besides.
    let coloured = project.command(&[&["--color", "always"], arguments].concat()).output().unwrap();
    let all = String::from_utf8([coloured.stdout, coloured.stderr].concat()).unwrap();
    assert_inert(&format!("coloured {arguments:?}"), &anstream::adapter::strip_str(&without_colours(&all)).to_string());
    outcome
}

/// The text without `ESC [ … m`, which must be simple colours.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap().to_owned();
    for part in parts {
        let (code, rest) = part.split_once('m').unwrap_or_else(|| panic!("{part:?} is not a colour"));
        assert!(code.chars().all(|c| c.is_ascii_digit() || c == ';'), "{code:?} is not a colour");
        plain.push_str(rest);
    }
    plain
}

/// A literal of the text.
fn literal(text: &str) -> String {
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

/// A database whose data is hostile, and a project on it.
async fn hostile() -> (Database, Project, String) {
    let database = flowsmith_engine().await;
    let mut c = database.connect().await;
    let name = text(&mut c, "current_database()").await.unwrap();
    let role = format!("{name} \u{1b}[31mred\u{9b}2J\u{202e}`|<b>@team");
    execute(&mut c, &format!("create role \"{role}\" login superuser")).await;
    let encoded: String = role.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let project =
        Project::new().with("DATABASE_URL", &database.url().replace("user=postgres", &format!("user={encoded}")));
    let flow = json!({
        "flow": "order",
        "description": HOSTILE,
        "owner": HOSTILE,
        "labels": { "a": HOSTILE },
        "steps": {
            "load": { "description": HOSTILE, "handler": { "sql": format!("select {}", literal(HOSTILE)) } },
            "each": { "map": "load" },
            "ship": { "depends_on": ["load"], "if": { "load": { HOSTILE: [HOSTILE] } }, "handler": { "exec": ["x", HOSTILE] } },
        },
        "triggers": [{ "name": "nightly", "cron": "0 3 * * *", "description": HOSTILE, "input": { "a": HOSTILE } }],
    });
    project.write("flows/order.yaml", &flow.to_string());
    (database, project, role)
}

const RUN: &str = "0f8fad5b-d9cb-469f-a165-70867728950e";

async fn fill(database: &Database) {
    let mut c = database.connect().await;
    let hostile = literal(HOSTILE);
    let sql = format!(
        "insert into pgflow.workers (worker_id, queue_name, function_name)
           values ('00000000-0000-0000-0000-0000000000aa', 'order', {hostile});
         select pgflow.start_tasks('order', array(select msg_id from pgmq.read('order', 60, 100)), '00000000-0000-0000-0000-0000000000aa');
         select pgflow.complete_task('{RUN}', 'load', 0, jsonb_build_array({hostile}));
         select pgflow.start_tasks('order', array(select msg_id from pgmq.read('order', 60, 100)), '00000000-0000-0000-0000-0000000000aa');
         do $do$ begin for i in 1..3 loop
           perform pgflow.fail_task('{RUN}', 'each', 0, {hostile});
           update pgmq.q_order set vt = now() - interval '1s';
           perform pgflow.start_tasks('order', array(select msg_id from pgmq.read('order', 60, 100)), '00000000-0000-0000-0000-0000000000aa');
         end loop; end $do$;"
    );
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut c).await {
        panic!("{error}");
    }
}

#[tokio::test]
async fn no_command_prints_text_of_others_that_acts() {
    let (database, project, role) = hostile().await;
    for arguments in [
        &["check"][..],
        &["check", "--format", "json"],
        &["check", "--format", "github"],
        &["check", "--format", "sarif"],
    ] {
        let checked = run(&project, arguments);
        assert_eq!(checked.code, 0, "{arguments:?}: {checked}");
    }
    for arguments in
        [&["plan"][..], &["plan", "--format", "markdown"], &["plan", "--format", "html"], &["plan", "--format", "json"]]
    {
        assert_eq!(run(&project, arguments).code, 2, "{arguments:?}");
    }
    project.compile();
    assert_eq!(run(&project, &["apply", "--verbose"]).code, 0);
    let started = run(&project, &["start", "order", "--input", &json!({ "a": HOSTILE }).to_string(), "--run-id", RUN]);
    assert_eq!(started.code, 0, "{started}");
    fill(&database).await;

    let shown = run(&project, &["show", RUN, "--full"]).stdout;
    assert!(
        shown.contains("hst\\u{1b}[31mile\\u{1b}[2J\\u{1b}]0;t\\u{7}") && shown.contains("\\u{9b}2J\\u{202e}"),
        "{shown}"
    );
    let shown: Value = serde_json::from_str(&run(&project, &["show", RUN, "--format", "json"]).stdout).unwrap();
    assert!(shown["run"]["steps"].as_array().unwrap().iter().any(|step| step["error"] == HOSTILE), "{shown:#}");
    let workers: Value = serde_json::from_str(&run(&project, &["workers", "--format", "json"]).stdout).unwrap();
    assert_eq!(workers["workers"][0]["function"], HOSTILE, "{workers:#}");
    assert!(workers["database"].as_str().unwrap().starts_with(&format!("{role}@")), "{workers:#}");

    // The database differs from the files and from the migrations.
    let mut c = database.connect().await;
    let pattern = literal(&json!({ "load": { "b": HOSTILE } }).to_string());
    execute(&mut c, &format!("update pgflow.steps set required_input_pattern = {pattern} where step_slug = 'ship'"))
        .await;
    execute(&mut c, &format!("update flowsmith.migrations set applied_by = {} where true", literal(HOSTILE))).await;
    for arguments in [
        &["status"][..],
        &["status", "--format", "json"],
        &["plan"],
        &["plan", "--format", "json"],
        &["plan", "--format", "markdown"],
        &["plan", "--format", "html"],
        &["drift"],
        &["drift", "--format", "json"],
        &["drift", "--format", "markdown"],
        &["apply"],
        &["doctor"],
        &["doctor", "--format", "json"],
        &["runs"],
        &["show", RUN],
        &["watch", RUN],
        &["watch", RUN, "--format", "json"],
        &["queues"],
        &["workers"],
        &["stalled"],
        &["stats"],
        &["retire"],
        &["pause", "order"],
        &["resume", "order"],
        &["retry", RUN],
        &["cancel", RUN, "--yes"],
        &["compile", "--from-live"],
        &["pull"],
        &["pull", "--files-only", "--overwrite"],
        &["worker", "--wait-for-server", "0s"],
    ] {
        run(&project, arguments);
    }
    for format in ["svg", "html", "mermaid", "dot"] {
        for from in ["files", "migrations", "live"] {
            let picture = run(&project, &["graph", "order", "--from", from, "--format", format]);
            assert!(picture.code == 0 && !picture.stdout.contains("<script>") || format == "dot", "{picture}");
        }
        let picture = run(&project, &["graph", "--run", RUN, "--format", format]);
        assert!(picture.code == 0 && !picture.stdout.contains("<script>") || format == "dot", "{picture}");
    }
    execute(&mut c, &format!("drop owned by \"{role}\"; drop role \"{role}\"")).await;
}

/// Names and values that are refused are quoted in the refusal.
#[test]
fn refusals_quote_text_of_others_visibly() {
    let project = Project::new();
    for (place, file) in [
        ("flow", json!({ "flow": HOSTILE, "steps": { "a": {} } })),
        ("step", json!({ "flow": "a", "steps": { HOSTILE: {} } })),
        ("key", json!({ "flow": "a", HOSTILE: 1, "steps": { "a": { HOSTILE: 2 } } })),
        ("dependency", json!({ "flow": "a", "steps": { "a": { "depends_on": [HOSTILE] } } })),
        ("duration", json!({ "flow": "a", "steps": { "a": { "timeout": HOSTILE } } })),
        (
            "cron",
            json!({ "flow": "a", "steps": { "a": {} }, "triggers": [{ "name": "t", "cron": HOSTILE }, { "name": HOSTILE, "cron": "@daily" }] }),
        ),
        ("environment", json!({ "flow": "a", "steps": { "a": {} }, "environments": { HOSTILE: { "x": HOSTILE } } })),
        ("handler", json!({ "flow": "a", "steps": { "a": { "handler": { "http": HOSTILE } } } })),
        (
            "condition",
            json!({ "flow": "a", "steps": { "a": {}, "b": { "depends_on": ["a"], "if": { HOSTILE: HOSTILE } } } }),
        ),
    ] {
        project.write("flows/a.yaml", &file.to_string());
        for format in ["text", "json", "github", "sarif"] {
            let outcome = run(&project, &["check", "--format", format]);
            assert!(outcome.code == 4 || place == "environment", "{place}: {outcome}");
            if matches!(format, "json" | "sarif") {
                serde_json::from_str::<Value>(&outcome.stdout).unwrap();
            }
        }
        // As it is, rather than escaped as in JSON.
        project.write("flows/a.yaml", &file.to_string().replace("\\u001b", "\u{1b}").replace("\\u0007", "\u{7}"));
        run(&project, &["check"]);
        run(&project, &["compile"]);
    }
    project.write("flows/a.yaml", "flow: a\nsteps: { a: {} }\n");
    for settings in
        [format!("{HOSTILE} = 1"), format!("flows = {}", json!(HOSTILE)), format!("ignore = {}", json!([HOSTILE, "["]))]
    {
        project.write("flowsmith.toml", &settings);
        run(&project, &["check"]);
    }
    project.write("flowsmith.toml", "");
    for arguments in [
        &["explain", HOSTILE][..],
        &["graph", HOSTILE],
        &["compile", "--name", HOSTILE],
        &["check", "--flows", HOSTILE],
        &["check", HOSTILE],
        &["check", "--config", HOSTILE],
        &["compile", "--migrations", HOSTILE],
        &["status", "--database", HOSTILE],
        &["compile", "--env", HOSTILE],
        &["show", HOSTILE],
        &[HOSTILE],
        &["graph", "a", "--format", HOSTILE],
    ] {
        super::assert_in_order(&format!("{arguments:?}"), &run(&project, arguments));
    }
    let name = format!("flows/{}.yaml", HOSTILE.replace('/', "-"));
    project.write(&name, "flow: b\nsteps: { b: { x: 1 } }\n");
    for format in ["text", "json", "github", "sarif"] {
        assert_eq!(run(&project, &["check", "--format", format]).code, 4);
    }
}

/// JSON escapes of half a character are refused or replaced, as in JSON itself; bytes that are not UTF-8 are refused with a place.
#[test]
fn halves_of_characters_are_findings() {
    let project = Project::new();
    for bytes in [
        &b"flow: a\nsteps: { a: {} }\ndescription: \"\\ud800\"\n"[..],
        b"flow: a\nsteps: { a: {} }\ndescription: \"\xff\"\n",
        b"flow: a\nsteps: { a: {} }\ndescription: \"\xc3\"\n",
        b"flow: a\nsteps: { a: {} }\ndescription: \"\xed\xa0\x80\"\n",
    ] {
        std::fs::write(project.path("flows/a.yaml"), bytes).unwrap();
        let outcome = run(&project, &["check"]);
        assert_eq!(outcome.code, 4, "{outcome}");
        assert!(outcome.all_output().contains("a.yaml"), "{outcome}");
    }
}
