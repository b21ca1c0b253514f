//! Privileges for triggers.

use flowsmith_postgres::engine::roles::Role;
use sqlx::{ConnectOptions, Executor};

use super::{ORDERS, PAID, deploy, order, runs, with_orders};
use crate::engine::definitions::{execute, text};
use crate::engine::roles::{Team, refused};

#[tokio::test]
async fn writers_to_a_table_need_no_privilege_on_flowsmith() {
    let team = Team::new().await;
    let c = &mut team.database.connect().await;
    let (deployer, stranger) = (team.login(Role::Deployer), team.name("stranger"));
    execute(c, ORDERS).await;
    execute(c, &format!("grant insert, update, select on public.orders to {stranger}")).await;
    let project = team.project();
    order(&project, "", &format!("{PAID}\n  - {{ name: nightly, cron: \"@daily\" }}"));
    project.compile();
    let output = project.exits_with(1, &["apply"]);
    assert!(output.contains("FS905") && output.contains("grant trigger on public.orders"), "{output}");

    // The function belongs to the group role, so that every member can deploy next.
    let group = team.prefix.name(Role::Deployer);
    execute(c, &format!("grant trigger on public.orders to {group}")).await;
    project.succeeds(&["apply"]);
    project.succeeds(&["drift"]);
    let owner = "(select string_agg(pg_get_userbyid(p.proowner)::text, ' ') from pg_proc p where p.pronamespace = 'flowsmith_triggers'::regnamespace)";
    assert_eq!(text(c, owner).await.unwrap(), group);

    let app = &mut team.connect(&stranger).await;
    execute(app, "insert into public.orders (id, plan, status) values (1, 'basic', 'paid')").await;
    assert_eq!(runs(c).await, "order {\"plan\": \"basic\", \"order_id\": 1}");
    for sql in [
        "select flowsmith.fire_table_trigger('order', 'paid', '{}')",
        "select flowsmith.fire_schedule('order', 'nightly')",
        "select flowsmith.sync_triggers(array['order'])",
        "create trigger mine after insert on public.orders for each row execute function flowsmith_triggers.\"flowsmith:order:paid\"()",
        "create function flowsmith_triggers.mine() returns int language sql as 'select 1'",
        "delete from flowsmith.triggers",
    ] {
        refused(app, sql).await;
    }
    let worker = &mut team.session(Role::Worker).await;
    for sql in [
        "select flowsmith.fire_table_trigger('order', 'paid', '{}')",
        "insert into flowsmith.triggers values ('a', 'b', 'cron', '{}')",
    ] {
        refused(worker, sql).await;
    }
    let client = &mut team.session(Role::Client).await;
    refused(client, "select flowsmith.fire_schedule('order', 'nightly')").await;
    // A worker can start only declared schedules with their declared input.
    execute(worker, "select flowsmith.fire_schedule('order', 'nightly')").await;
    let error = worker.execute("select flowsmith.fire_schedule('order', 'paid')").await.unwrap_err();
    assert!(error.to_string().contains("no active trigger paid of kind cron"), "{error}");

    // Another deployer changes and removes the trigger.
    execute(c, &format!("create role {deployer}_2 login in role {group}")).await;
    let url = team.database.url().replace("user=postgres", &format!("user={deployer}_2"));
    let project = project.with("DATABASE_URL", &url);
    order(&project, "", &PAID.replace("'plan', new.plan", "'name', new.plan"));
    deploy(&project);
    execute(app, "insert into public.orders (id, plan, status) values (2, 'basic', 'paid')").await;
    assert!(runs(c).await.contains("{\"name\": \"basic\", \"order_id\": 2}"));
    order(&project, "", "  - { name: nightly, cron: \"@daily\" }");
    deploy(&project);
    assert_eq!(text(c, owner).await, None);
}

/// The function runs with the privileges of its owner, so the session that changes a row must not influence it.
#[tokio::test]
async fn session_cannot_inject_code_into_a_trigger_function() {
    let (database, project, mut c) = with_orders().await;
    let trigger = r#"  - name: paid
    table: public.orders
    when: 'new.status <> ''\'' and upper(new.status) = ''PAID'''
    input_sql: "jsonb_build_object('order_id', new.id, 'back', '\\', 'by', current_user)""#;
    order(&project, "", trigger);
    deploy(&project);
    let role = format!("mallory_{}", std::process::id());
    execute(
        &mut c,
        &format!("create role {role} login; grant insert on public.orders to {role}; grant create, usage on schema public to {role}"),
    )
    .await;
    let mallory = &mut database.options().username(&role).connect().await.unwrap();
    for sql in [
        "create function public.upper(text) returns text language plpgsql as 'begin raise exception ''gotcha''; end'",
        "create function pg_temp.upper(text) returns text language plpgsql as 'begin raise exception ''gotcha''; end'",
        "create function public.jsonb_build_object(text, int, text, text, text, name) returns jsonb language sql as 'select ''1''::jsonb'",
        "create type pg_temp.jsonb as enum ('a')",
        "set search_path = pg_temp, public, pg_catalog",
        "set standard_conforming_strings = off",
        "insert into public.orders (id, status) values (1, 'paid')",
    ] {
        execute(mallory, sql).await;
    }
    assert_eq!(runs(&mut c).await, "order {\"by\": \"postgres\", \"back\": \"\\\\\", \"order_id\": 1}");
    execute(&mut c, &format!("drop owned by {role}; drop role {role}")).await;
}
