//! `flowsmith graph` and `plan --format html`.

use sqlx::{AssertSqlSafe, Row as _};

use crate::fixture::Database;
use crate::fixture::command::{Project, flowsmith_engine, official_engine, old_official_engine};

const FLOW: &str = "  load: {}\n  each: { map: load }\n  send: { depends_on: [load] }";

#[test]
fn every_format_is_written_to_stdout_or_a_file() {
    let project = Project::new();
    project.flow("order", "", FLOW);
    for (format, begins) in
        [("svg", "<svg "), ("mermaid", "---\ntitle: \"order@1\""), ("dot", "digraph "), ("html", "<!doctype html>")]
    {
        let printed = project.succeeds(&["graph", "order", "--format", format]).stdout;
        assert!(printed.starts_with(begins), "{format}: {printed}");
        let written = project.succeeds(&["graph", "order", "--format", format, "--output", "picture"]);
        assert_eq!(written.stdout, "", "{format}");
        assert_eq!(project.read("picture"), printed, "{format}");
    }
    assert!(project.succeeds(&["graph", "order"]).stdout.starts_with("<svg "), "svg is the default");
    for (file, begins) in [("a.svg", "<svg "), ("a.mmd", "---\n"), ("a.GV", "digraph "), ("a.html", "<!doctype html>")]
    {
        let done = project.succeeds(&["graph", "order", "--output", file]);
        assert_eq!(done.stderr, format!("Wrote {file}\n"));
        assert!(project.read(file).starts_with(begins), "the ending says the format: {file}");
    }
    let refused = project.exits_with(64, &["graph", "order", "--output", "b.svg", "--format", "html"]);
    assert!(
        refused.contains("FS994") && refused.contains("b.svg has the extension of SVG, but --format requests HTML"),
        "{refused}"
    );
    assert!(project.exits_with(64, &["graph", "order", "--output", "b.png"]).contains("dot -Tpng"));
    assert!(!project.path("b.svg").exists() && !project.path("b.png").exists());
    let refused = project.exits_with(1, &["graph", "order", "--output", "no/such/folder.svg"]);
    assert!(refused.contains("FS801") && refused.contains("no/such/folder.svg"), "{refused}");
}

#[test]
fn flow_is_found_by_slug_version_or_database_slug() {
    let project = Project::new();
    project.write(
        "flows/a.yaml",
        "flow: order\nsteps: { first: {} }\n---\nflow: order\nversion: 2\nsteps: { second: {} }\n",
    );
    for (name, step) in [("order", "second"), ("order@1", "first"), ("order@2", "second"), ("order_v2", "second")] {
        let dot = project.succeeds(&["graph", name, "--format", "dot"]).stdout;
        assert!(dot.contains(&format!("label=\"{step}\"")), "{name}: {dot}");
    }
    let unknown = project.exits_with(1, &["graph", "ordr"]);
    assert!(unknown.contains("error[FS961]: there is no flow `ordr` in the flow files"), "{unknown}");
    assert!(unknown.contains("did you mean `order`?"), "{unknown}");
    let unknown = project.exits_with(1, &["graph", "zzz"]);
    assert!(unknown.contains("write `order`"), "{unknown}");
    assert!(project.exits_with(64, &["graph"]).contains("<FLOW>"));
    assert!(project.exits_with(64, &["graph", "order", "--format", "png"]).contains("png"));
}

#[test]
fn only_errors_of_the_flow_itself_prevent_its_picture() {
    let project = Project::new();
    project.flow("good", "", "  a: {}");
    project.flow("bad", "", "  a: { depends_on: [b] }");
    project.succeeds(&["graph", "good"]);
    let outcome = project.run(&["graph", "bad"]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (4, ""), "{outcome}");
    assert!(outcome.stderr.contains("FS301") && outcome.stderr.contains("no flow `bad` without errors"), "{outcome}");
}

#[test]
fn files_and_migrations_are_drawn_without_a_database() {
    let project = Project::new();
    project.flow("order", "", FLOW);
    project.compile();
    project.flow("order", "", "  another: {}");
    let dot = project.succeeds(&["graph", "order", "--from", "migrations", "--format", "dot"]).stdout;
    assert!(dot.contains("label=\"load\"") && !dot.contains("another"), "{dot}");
    assert!(project.exits_with(64, &["graph", "order", "--from", "live"]).contains("FS824"));
    let run = "7d0e2c7e-3c3c-4a9f-9d4e-0c1f2a3b4c5d";
    assert!(project.exits_with(64, &["graph", "--run", run]).contains("FS824"));
    assert!(project.exits_with(64, &["graph", "--run", "xyz"]).contains("its beginning is enough"));
    assert!(
        project.exits_with(64, &["graph", "order", "--from", "files", "--run", run]).contains("cannot be used with")
    );
}

/// A project with the applied flow `order` and a started run: `load` is completed and `send` has failed once.
async fn running(database: &Database) -> (Project, String) {
    let project = Project::on(database);
    project.flow("order", "", FLOW);
    project.compile();
    project.succeeds(&["apply"]);
    let mut c = database.connect().await;
    let steps = "
        do $$
        declare run uuid; message bigint;
        begin
          select run_id into run from flowsmith.start_flow('order', '{}');
          insert into pgflow.workers (worker_id, queue_name, function_name)
            values ('00000000-0000-0000-0000-000000000001', 'order', 'test');
          for message in select msg_id from pgmq.read('order', 5, 10) loop
            perform pgflow.start_tasks('order', array[message], '00000000-0000-0000-0000-000000000001');
          end loop;
          perform pgflow.complete_task(run, 'load', 0, '[1, 2]');
          for message in select msg_id from pgmq.read('order', 5, 10) loop
            perform pgflow.start_tasks('order', array[message], '00000000-0000-0000-0000-000000000001');
          end loop;
          perform pgflow.complete_task(run, 'each', 1, '{}');
          perform pgflow.fail_task(run, 'send', 0, 'out of <paper> & ink');
        end $$";
    sqlx::raw_sql(AssertSqlSafe(steps)).execute(&mut c).await.unwrap();
    let row = sqlx::raw_sql("select run_id::text from pgflow.runs").fetch_one(&mut c).await.unwrap();
    (project, row.get(0))
}

#[tokio::test]
async fn run_is_drawn_with_its_status_on_every_engine() {
    for database in [flowsmith_engine().await, official_engine().await, old_official_engine().await] {
        let (project, run) = running(&database).await;
        let picture = project.succeeds(&["graph", "order", "--run", &run]).stdout;
        let by_prefix = project.succeeds(&["graph", "--run", &run.to_uppercase()[..6], "order@1"]).stdout;
        assert!(by_prefix.contains(&format!("run {run}<")), "{by_prefix}");
        let report = [
            format!("run {run}<"),
            "1 of 3 steps done".to_owned(),
            "class=\"step completed\"".to_owned(),
            "started, 1 of 2 tasks".to_owned(),
            "out of &lt;paper&gt; &amp; ink".to_owned(),
        ];
        for words in report {
            assert!(picture.contains(&words), "{words}: {picture}");
        }
        let live = project.succeeds(&["graph", "order", "--from", "live"]).stdout;
        assert_eq!(live, project.succeeds(&["graph", "order"]).stdout, "the live definition is that of the files");
    }
}

#[tokio::test]
async fn missing_runs_and_runs_of_other_flows_are_reported() {
    let database = flowsmith_engine().await;
    let (project, run) = running(&database).await;
    project.flow("another", "", "  a: {}");
    project.compile();
    project.succeeds(&["apply"]);
    let unknown = project.exits_with(1, &["graph", "--run", "7d0e2c7e-3c3c-4a9f-9d4e-0c1f2a3b4c5d"]);
    assert!(unknown.contains("error[FS965]: there is no run 7d0e2c7e-3c3c-4a9f-9d4e-0c1f2a3b4c5d"), "{unknown}");
    let other = project.exits_with(64, &["graph", "another", "--run", &run]);
    assert!(other.contains(&format!("error[FS993]: run {run} belongs to flow order@1, not to another")), "{other}");
    let unknown = project.exits_with(1, &["graph", "nothing", "--run", &run]);
    assert!(unknown.contains("FS961") && unknown.contains("in the database"), "{unknown}");
}

#[tokio::test]
async fn plan_page_writes_nothing_and_has_the_exit_code_of_the_text() {
    let database = flowsmith_engine().await;
    let (project, run) = running(&database).await;
    let mut c = database.connect().await;
    let name: String = sqlx::raw_sql("select current_database()").fetch_one(&mut c).await.unwrap().get(0);
    // A role that can only read.
    let role = format!("reader_of_{name}");
    let grants = format!(
        "create role {role} login; grant usage on schema pgflow, pgmq, flowsmith to {role};
         grant select on all tables in schema pgflow, flowsmith to {role}; grant select on pgmq.meta to {role}"
    );
    sqlx::raw_sql(AssertSqlSafe(grants)).execute(&mut c).await.unwrap();
    let project = project.with("DATABASE_URL", &database.url().replace("user=postgres", &format!("user={role}")));
    project.succeeds(&["graph", "--run", &run]);

    let in_sync = project.succeeds(&["plan", "--format", "html"]).stdout;
    assert!(in_sync.contains("No changes"), "{in_sync}");
    project.flow("order", "", &FLOW.replace("load: {}", "load: { max_attempts: 9 }"));
    let tuned = project.run(&["plan", "--format", "html"]);
    assert_eq!(tuned.code, 2, "{tuned}");
    assert!(tuned.stdout.contains("max_attempts inherited → 9 [tune]"), "{tuned}");
    assert!(tuned.stdout.contains("1 run still running: their next tasks use the new values"), "{tuned}");
    project.flow("order", "", "  load: {}");
    let refused = project.run(&["plan", "--format", "html"]);
    assert_eq!(refused.code, 5, "{refused}");
    assert!(refused.stdout.contains("<p class=\"hazard refuses\">refused: 1 run"), "{refused}");
}
