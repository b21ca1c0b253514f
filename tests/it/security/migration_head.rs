//! A migration that another tool runs, in a session whose search path finds objects of another role first.

use sqlx::{AssertSqlSafe, Row as _};

use crate::engine::definitions::{execute, text};
use crate::fixture::command::{Project, flowsmith_engine};

/// Objects that a session with this path finds instead of those of PostgreSQL.
const PLANTED: &str = "
    create function public.probe() returns text language plpgsql as $$ begin raise exception 'the probe ran'; end $$;
    create function public.to_regprocedure(text) returns regprocedure language sql as $$ select public.probe()::regprocedure $$;
    create function public.set_config(text, text, boolean) returns text language sql as $$ select public.probe() $$;
    create function public.current_setting(text) returns text language sql as $$ select public.probe() $$;
    create function public.equal(text, text) returns boolean language sql as $$ select public.probe() is null $$;
    create operator public.= (leftarg = text, rightarg = text, function = public.equal);
    create domain public.jsonb as pg_catalog.jsonb check (public.probe() is null);
    create domain public.text as pg_catalog.text check (public.probe() is null);
    create table public.tool (version int)";

const SETTINGS: [(&str, &str); 6] = [
    ("search_path", "public, pg_catalog"),
    ("standard_conforming_strings", "off"),
    ("quote_all_identifiers", "on"),
    ("transform_null_equals", "on"),
    ("DateStyle", "German, DMY"),
    ("TimeZone", "Asia/Kathmandu"),
];

#[tokio::test]
async fn head_pins_the_settings_of_the_session_and_restores_them() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    project.flow("order", "", "  load: { if_not: { a: \"it's \\\\ a\" } }");
    project.succeeds(&["compile"]);
    let file = project.migrations().pop().unwrap();
    let sql = project.read(&format!("migrations/{file}"));
    let c = &mut database.connect().await;
    execute(c, PLANTED).await;
    for (name, value) in SETTINGS {
        execute(c, &format!("select pg_catalog.set_config('{name}', '{value}', false)")).await;
    }
    // The second time, the migration is applied already.
    for round in ["1", "2"] {
        execute(c, "begin").await;
        sqlx::raw_sql(AssertSqlSafe(sql.as_str())).execute(&mut *c).await.unwrap();
        for (name, value) in SETTINGS {
            let shown: String =
                sqlx::raw_sql(AssertSqlSafe(format!("show {name}"))).fetch_one(&mut *c).await.unwrap().get(0);
            assert_eq!(shown, value, "{name}, round {round}");
        }
        execute(c, &format!("insert into tool values ({round}); commit")).await;
    }
    execute(c, "set search_path = pg_catalog").await;
    assert_eq!(text(c, "(select count(*) from pgflow.steps)").await.as_deref(), Some("1"));
    assert_eq!(text(c, "(select count(*) from public.tool)").await.as_deref(), Some("2"));
    // The ledger keeps the text from which the file can be written again.
    let plan = text(c, "(select plan from flowsmith.migrations)").await.unwrap();
    assert!(sql.contains(&format!("${plan}$")), "{plan}");
    project.succeeds(&["drift"]);
}
