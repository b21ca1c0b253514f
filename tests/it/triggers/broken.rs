//! Invalid triggers, which `apply` refuses, and triggers broken by later changes, which `drift` and `doctor` report.

use flowsmith_postgres::engine::roles::Role;

use super::{ORDERS, deploy, order, with_orders};
use crate::engine::definitions::{execute, text};
use crate::engine::roles::Team;
use crate::fixture::command::Project;

/// Applies a trigger that is refused, and deletes its migration.
fn refused(project: &Project, trigger: &str, words: &str) {
    order(project, "", &format!("  - {trigger}"));
    project.compile();
    let output = project.exits_with(5, &["apply"]);
    assert!(output.contains("FS996") && output.contains(words), "{trigger}: {output}");
    std::fs::remove_dir_all(project.path("migrations")).unwrap();
}

#[tokio::test]
async fn trigger_broken_by_a_later_change_is_reported_by_drift_and_doctor() {
    let when = "when: \"shop.wanted(new.id) and new.status = 'paid'\"";
    for (sql, words, fixed) in [
        (
            "alter table public.orders rename column status to state",
            "its expressions use the column status of public.orders, which does not exist any more",
            "when: \"shop.wanted(new.id) and new.state = 'paid'\"",
        ),
        (
            "drop function shop.wanted",
            "its expressions use the function shop.wanted, which does not exist any more, or which postgres may not use any more",
            "when: \"new.status = 'paid'\"",
        ),
        (
            "alter table public.orders alter column plan type bytea using null; alter table public.orders rename plan to scheme",
            "its expressions use the column plan of public.orders, which does not exist any more",
            "when: \"new.status = 'paid'\"\n    strict: true",
        ),
    ] {
        let (_database, project, mut c) = with_orders().await;
        let wanted =
            "create schema shop; create function shop.wanted(int) returns boolean language sql as 'select true';
            alter table public.orders alter column status set default 'paid'";
        execute(&mut c, wanted).await;
        let trigger = |when: &str, input: &str| {
            format!("  - name: paid\n    table: public.orders\n    {when}\n    input_sql: \"{input}\"")
        };
        order(&project, "", &trigger(when, "to_jsonb(new.plan)"));
        deploy(&project);
        project.succeeds(&["drift"]);
        let healthy = project.succeeds(&["doctor"]).stdout;
        assert!(healthy.contains("as declared"), "{healthy}");

        execute(&mut c, sql).await;
        execute(&mut c, "insert into public.orders (id) values (1), (2)").await;
        let output = project.exits_with(3, &["drift"]);
        assert!(output.contains(&format!("order: trigger paid: {words}")), "{sql}: {output}");
        assert!(project.exits_with(3, &["drift", "--format", "json"]).contains("\"broken\": true"));
        let doctor = project.exits_with(1, &["doctor"]);
        assert!(doctor.contains(words), "{doctor}");
        assert!(doctor.contains("order: trigger paid: 2 times, last at "), "{doctor}");

        // A migration fixes the trigger, and nothing blocks it.
        order(&project, "", &trigger(fixed, "to_jsonb(new.id)"));
        deploy(&project);
        project.succeeds(&["drift"]);
        execute(&mut c, "update public.orders set id = id").await;
        assert!(project.succeeds(&["doctor"]).stdout.contains("as declared"));
    }
}

#[tokio::test]
async fn expression_that_fails_for_every_row_is_refused() {
    let (_database, project, mut c) = with_orders().await;
    let no_json = "`input_sql` fails: it has the type text";
    for (trigger, words) in [
        (
            "{ name: t, table: public.orders, when: new.id }",
            "`when` fails: argument of CASE/WHEN must be type boolean, not type integer",
        ),
        ("{ name: t, table: public.orders, when: new.plan }", "must be type boolean, not type text"),
        (
            "{ name: t, table: public.orders, input_sql: \"null\" }",
            "`input_sql` fails: it is always null, but a run needs an input",
        ),
        ("{ name: t, table: public.orders, input_sql: \"null::json\" }", "it is always null, but a run needs an input"),
        ("{ name: t, table: public.orders, input_sql: new.plan }", no_json),
        ("{ name: t, queue: \"pgmq:q\", input_sql: event.type }", no_json),
        ("{ name: t, queue: \"pgmq:q\", input_sql: \"null\" }", "it is always null, but a run needs an input"),
    ] {
        refused(&project, trigger, words);
    }

    // Valid expressions are accepted.
    execute(&mut c, "create function public.load(public.orders) returns json language sql as 'select to_json($1.id)'")
        .await;
    for input in [
        "public.load(new)",
        "'{\\\"a\\\": 1}'",
        "to_jsonb(new)",
        "(new.plan)::jsonb",
        "coalesce(to_json(new.plan), '{}')",
    ] {
        order(
            &project,
            "",
            &format!("  - {{ name: t, table: public.orders, when: \"'t'\", input_sql: \"{input}\", strict: true }}"),
        );
        deploy(&project);
        project.succeeds(&["drift"]);
        execute(&mut c, "delete from public.orders; insert into public.orders (id, plan) values (1, '{}')").await;
    }
    assert_eq!(text(&mut c, "(select count(*) from pgflow.runs)").await.unwrap(), "5");
}

#[tokio::test]
async fn expression_is_tried_with_the_privileges_of_its_function() {
    let team = Team::new().await;
    let c = &mut team.database.connect().await;
    let deployer = team.login(Role::Deployer);
    let group = team.prefix.name(Role::Deployer);
    execute(c, ORDERS).await;
    execute(c, "create table public.sec (x int)").await;
    execute(c, &format!("grant trigger on public.orders to {group}; grant select on public.sec to {deployer}")).await;
    let project = team.project();
    for trigger in [
        "{ name: t, table: public.orders, when: \"new.id is not null and exists (select from public.sec where x = new.id)\" }",
        "{ name: t, table: public.orders, input_sql: \"case when new.id > 0 then (select to_jsonb(x) from public.sec) end\" }",
    ] {
        refused(&project, trigger, "permission denied for table sec");
    }
    execute(c, &format!("grant select on public.sec to {group}")).await;
    order(
        &project,
        "",
        "  - { name: t, table: public.orders, when: \"exists (select from public.sec where x = new.id)\" }",
    );
    deploy(&project);
    project.succeeds(&["drift"]);
    execute(c, &format!("revoke select on public.sec from {group}")).await;
    let output = project.exits_with(3, &["drift"]);
    let words = format!(
        "order: trigger t: its expressions use the relation public.sec, which does not exist any more, or which {group} may not use any more"
    );
    assert!(output.contains(&words), "{output}");
}
