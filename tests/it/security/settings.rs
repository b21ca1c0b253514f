//! Settings of a database or a role: none of them changes an answer.

use std::sync::LazyLock;

use rustix::process::Signal;

use crate::engine::definitions::{execute, text};
use crate::fixture::Database;
use crate::fixture::command::Project;
use crate::worker::process::WorkerProcess;

const RUN: &str = "0196b0a8-0000-7000-8000-000000000001";

/// Groups of settings, each of which is set in one database.
const GROUPS: &[(&str, &[&str])] = &[
    (
        "formats",
        &[
            "datestyle = 'sql, dmy'",
            "intervalstyle = 'sql_standard'",
            "timezone = 'Asia/Kathmandu'",
            "bytea_output = 'escape'",
            "extra_float_digits = '-15'",
            "quote_all_identifiers = on",
            "xmlbinary = 'hex'",
            "xmloption = 'document'",
            "client_encoding = 'latin1'",
            "lc_messages = 'C'",
            "lc_numeric = 'C'",
            "array_nulls = off",
            "transform_null_equals = on",
        ],
    ),
    (
        "behaviour",
        &[
            "exit_on_error = on",
            "row_security = off",
            "check_function_bodies = off",
            "client_min_messages = 'error'",
            "plpgsql.variable_conflict = 'use_column'",
            "plpgsql.extra_errors = 'all'",
            "plpgsql.check_asserts = off",
            "backslash_quote = off",
            "escape_string_warning = off",
            "synchronous_commit = off",
            "lo_compat_privileges = on",
        ],
    ),
    (
        "plans",
        &[
            "jit = on",
            "jit_above_cost = 0",
            "enable_seqscan = off",
            "enable_indexscan = off",
            "enable_hashjoin = off",
            "enable_nestloop = off",
            "plan_cache_mode = 'force_generic_plan'",
            "from_collapse_limit = 1",
            "work_mem = '64kB'",
            "parallel_setup_cost = 0",
        ],
    ),
    (
        "transactions",
        &[
            "default_transaction_read_only = on",
            "default_transaction_isolation = 'serializable'",
            "default_transaction_deferrable = on",
            "statement_timeout = '100ms'",
            "lock_timeout = '1ms'",
            "idle_in_transaction_session_timeout = '20ms'",
        ],
    ),
    ("public first", &["search_path = public, pg_catalog", "standard_conforming_strings = off"]),
    ("nothing", &["search_path = ''"]),
    ("temporary first", &["search_path = pg_temp, \"$user\", public, pg_catalog", "standard_conforming_strings = off"]),
];

/// Objects in `public` that beat those of `pg_catalog` if `public` comes first.
const DOUBLES: &str = "create domain public.text as pg_catalog.text check (pg_catalog.length(value) operator(pg_catalog.<) 3);
    create function public.lower(pg_catalog.text) returns pg_catalog.text language sql return 'lower';
    create function public.quote_ident(pg_catalog.text) returns pg_catalog.text language sql return 'quoted';
    create function public.to_regclass(pg_catalog.text) returns pg_catalog.regclass language sql return null::pg_catalog.regclass;
    create function public.now() returns pg_catalog.timestamptz language sql return '1970-01-01'::pg_catalog.timestamptz;";

/// The answers of the commands of a project on a database with these settings: exit codes and outputs. Numbers are masked,
/// because ids and durations differ.
async fn answers(settings: &[&str], of_role: bool) -> Vec<String> {
    let database = Database::create().await;
    let mut c = database.connect().await;
    execute(&mut c, DOUBLES).await;
    let name = text(&mut c, "current_database()").await.unwrap();
    let (url, whose, role) = if of_role {
        let role = format!("set_{name}");
        execute(&mut c, &format!("create role {role} superuser login")).await;
        (database.url().replace("user=postgres", &format!("user={role}")), format!("role {role}"), Some(role))
    } else {
        (database.url(), format!("database {name}"), None)
    };
    for setting in settings {
        execute(&mut c, &format!("alter {whose} set {setting}")).await;
    }
    let project = Project::new().with("DATABASE_URL", &url);
    let tricky = r"it's \' a \\ back\nslash";
    project.flow(
        "order",
        &format!("description: {tricky:?}\ninput: {{ type: object }}"),
        "  load: { base_delay: 3, handler: { exec: [\"echo\", \"[1, 2]\"] }, if: { name: \"a\\\\'b\" } }
  each: { map: load, timeout: 77, handler: { exec: [\"cat\"] } }
  ship: { depends_on: [load, each], start_delay: 0, handler: { exec: [\"cat\"] } }
triggers:
  - { name: nightly, cron: '0 2 * * *', input: { source: 'it''s \\night' } }",
    );
    let mut answers = Vec::new();
    let owner = role.clone().unwrap_or("postgres".to_owned());
    let mut step = |arguments: &[&str]| {
        let outcome = project.run(arguments).to_string().replace(&owner, "ROLE");
        answers.push(masked(&format!("{arguments:?} {outcome}")));
    };
    step(&["install"]);
    step(&["compile"]);
    step(&["plan"]);
    step(&["apply"]);
    step(&["drift"]);
    step(&["plan"]);
    step(&["status"]);
    step(&["doctor"]);
    step(&["start", "order", "--run-id", RUN, "--input", r#"{"name": "a\\'b"}"#]);
    let mut worker = WorkerProcess::start(&project, &["--schedule", "--poll-interval", "100ms"]);
    // The events that it prints depend on when it begins to watch.
    let watched = project.run(&["watch", RUN, "--timeout", "60s"]).code;
    worker.signal(Signal::TERM);
    let exit = worker.wait_for_exit().await;
    step(&["show", RUN, "--full"]);
    step(&["stats"]);
    step(&["workers"]);
    answers.push(format!("watch exits with {watched}, the worker with {exit:?}"));
    if let Some(role) = role {
        execute(&mut c, &format!("reassign owned by {role} to postgres; drop owned by {role}; drop role {role}")).await;
    }
    answers
}

/// Replaces numbers, UUIDs, units of time and the widths of columns.
fn masked(text: &str) -> String {
    let mut masked = String::new();
    let is_part = |c: char| c.is_ascii_hexdigit() || c == '-' || c == '.';
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end.max(first.len_utf8()));
        masked.push_str(if word.contains(|c: char| c.is_ascii_digit()) { "#" } else { word });
        rest = after;
    }
    let masked = masked.replace("# ms", "# s").replace("# µs", "# s");
    // Columns are as wide as their values.
    masked.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

async fn change_nothing(group: &str, of_role: bool) {
    static EXPECTED: LazyLock<tokio::sync::OnceCell<Vec<String>>> = LazyLock::new(tokio::sync::OnceCell::new);
    let expected = EXPECTED.get_or_init(|| answers(&[], false)).await;
    let settings = GROUPS.iter().find(|(name, _)| *name == group).unwrap().1;
    let found = answers(settings, of_role).await;
    for (found, expected) in found.iter().zip(expected) {
        assert!(found == expected, "{settings:?}\nexpected {expected}\nfound {found}");
    }
}

#[tokio::test]
async fn formats_change_nothing() {
    change_nothing("formats", true).await;
}

#[tokio::test]
async fn behaviour_changes_nothing() {
    change_nothing("behaviour", false).await;
}

#[tokio::test]
async fn plans_change_nothing() {
    change_nothing("plans", false).await;
}

#[tokio::test]
async fn transactions_change_nothing() {
    change_nothing("transactions", true).await;
}

#[tokio::test]
async fn search_paths_change_nothing() {
    change_nothing("public first", false).await;
    change_nothing("nothing", true).await;
    change_nothing("temporary first", false).await;
}

#[test]
fn more_than_forty_settings_are_tried() {
    let count: usize = GROUPS.iter().map(|(_, settings)| settings.len()).sum();
    assert!(count > 40, "{count}");
}
