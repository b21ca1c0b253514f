//! An older version with data in it becomes the newest: the schema is that of a fresh install, and the data goes on.

use flowsmith_postgres::engine::detect::detect;
use flowsmith_postgres::engine::doctor::{CheckStatus, doctor};
use flowsmith_postgres::engine::install::{EngineAction, InputStyle, install, install_script, install_with_roles};
use flowsmith_postgres::engine::roles::{Role, RolePrefix, audit};
use flowsmith_postgres::engine::schema;
use flowsmith_postgres::engine::scripts::{ENGINE, LEDGER, Script, newest_engine};
use sqlx::{PgConnection, PgPool};

use crate::engine::definitions::{execute, text, with_engine};
use crate::fixture::Database;
use crate::fixture::command::Project;

/// The install script as it was when these were the newest files of the engine and of the schema `flowsmith`: each file is
/// a section of its own.
fn script_of(engine: i32, ledger: i32) -> String {
    let script = install_script(InputStyle::Separate);
    let (mut kept, mut cut) = (true, 0);
    let keeps = |line: &str, part: &str, newest: i32| {
        let number: i32 = line.strip_prefix("-- ─── ")?.strip_prefix(part)?.split(':').next()?.parse().ok()?;
        Some(number <= newest)
    };
    let mut older = String::new();
    for line in script.lines() {
        if let Some(keep) = keeps(line, "Engine ", engine).or_else(|| keeps(line, "Ledger ", ledger)) {
            kept = keep;
            cut += i32::from(!keep);
        }
        if kept {
            older.extend([line, "\n"]);
        }
    }
    let newest = |scripts: &[Script]| scripts.last().unwrap().version;
    assert_eq!(cut, newest(ENGINE) - engine + newest(LEDGER) - ledger, "each file is a section");
    older
}

/// A database as an older flowsmith left it.
async fn installed(engine: i32, ledger: i32) -> Database {
    let database = Database::create().await;
    let pool = PgPool::connect_with(database.options()).await.unwrap();
    pgmq::install::install_sql_from_embedded(&pool).await.unwrap();
    pool.close().await;
    execute(&mut database.connect().await, &format!("begin; {}; commit", script_of(engine, ledger))).await;
    database
}

/// Reads, starts and completes whatever can be, until nothing is left. A map's source gives two elements.
const WORK_IT_OFF: &str = "
    do $$
    declare
      worker uuid := gen_random_uuid();
      task   pgflow.step_task_record;
      found  boolean;
    begin
      insert into pgflow.workers (worker_id, queue_name, function_name) values (worker, 'order', 'test');
      loop
        found := false;
        for task in
          select t.* from (select array_agg(m.msg_id) as ids from pgmq.read('order', 0, 5) m) read,
          pgflow.start_tasks('order', read.ids, worker) t
        loop
          found := true;
          perform pgflow.complete_task(task.run_id, task.step_slug, task.task_index,
            case task.step_slug when 'load' then '[1, 2]' else to_jsonb(task.step_slug) end);
        end loop;
        exit when not found;
      end loop;
    end $$";

/// Runs at every stage: just started, a task being worked on, waiting for a retry, a map half done, completed, failed.
async fn start_runs(c: &mut PgConnection) {
    execute(c, "insert into pgflow.workers (worker_id, queue_name, function_name) values ('00000000-0000-0000-0000-000000000001', 'order', 'old')").await;
    for stage in 1..=5 {
        let run = format!("00000000-0000-0000-0000-00000000000{stage}");
        execute(c, &format!("select pgflow.start_flow('order', '{{}}', '{run}')")).await;
        let take = format!(
            "select pgflow.start_tasks('order', array(select message_id from pgflow.step_tasks where run_id = '{run}' and status = 'queued'), '00000000-0000-0000-0000-000000000001')"
        );
        if stage >= 2 {
            execute(c, &take).await;
        }
        match stage {
            3 => execute(c, &format!("select pgflow.fail_task('{run}', 'load', 0, 'once')")).await,
            4 => {
                execute(c, &format!("select pgflow.complete_task('{run}', 'load', 0, '[1, 2]')")).await;
                execute(c, &take).await;
                execute(c, &format!("select pgflow.complete_task('{run}', 'each', 1, '\"each\"')")).await;
            }
            5 => {
                for _ in 0..2 {
                    execute(c, &format!("select pgflow.fail_task('{run}', 'load', 0, 'twice')")).await;
                    execute(c, &take).await;
                }
            }
            _ => {}
        }
    }
    let stages = "select string_agg(status, ' ' order by run_id) from pgflow.runs";
    assert_eq!(text(c, stages).await.as_deref(), Some("started started started started failed"));
}

#[tokio::test]
async fn every_older_version_becomes_the_newest_with_its_data() {
    let fresh = with_engine().await;
    let fresh = &mut fresh.connect().await;
    let fresh_schemas = (schema::ENGINE.read(fresh).await.unwrap(), schema::LEDGER.read(fresh).await.unwrap());
    let newest_ledger = LEDGER.last().unwrap().version;
    let older = (1..newest_engine()).map(|engine| (engine, 1)).chain([(newest_engine(), 1), (1, newest_ledger)]);
    for (engine, ledger) in older {
        let database = installed(engine, ledger).await;
        let c = &mut database.connect().await;
        let project = Project::on(&database);
        project.flow(
            "order",
            "defaults: { max_attempts: 2, base_delay: 0 }",
            "  load: {}\n  each: { map: load }\n  send: { depends_on: [each] }",
        );
        project.compile();
        project.done(&["apply"]);
        if engine >= 2 {
            start_runs(c).await;
        }

        let report = install(&database.options(), InputStyle::Separate).await.unwrap();
        let to = newest_engine();
        let expected =
            if engine == to { EngineAction::UpToDate(to) } else { EngineAction::Upgraded { from: engine, to } };
        assert_eq!(report.engine, expected);
        let schemas = (schema::ENGINE.read(c).await.unwrap(), schema::LEDGER.read(c).await.unwrap());
        assert_eq!(schemas, fresh_schemas, "from engine {engine}, ledger {ledger}");
        let send = "pg_get_functiondef('realtime.send(jsonb, text, text, boolean)'::regprocedure)";
        assert_eq!(text(c, send).await, text(fresh, send).await);
        let (found, expected) = (detect(c).await.unwrap(), detect(fresh).await.unwrap());
        assert_eq!(found, expected);
        let checks = doctor(c).await.unwrap();
        let bad: Vec<_> = checks.iter().filter(|check| check.status != CheckStatus::Ok).collect();
        assert!(bad.is_empty(), "from engine {engine}, ledger {ledger}: {bad:#?}");

        project.done(&["drift"]);
        execute(c, "select flowsmith.start_flow('order', '{}')").await;
        // What a worker of before the upgrade took is shown again by hand: its time is not up yet.
        execute(
            c,
            "update pgflow.step_tasks set status = 'queued', started_at = null where status = 'started';
             update pgmq.q_order set vt = clock_timestamp()",
        )
        .await;
        execute(c, WORK_IT_OFF).await;
        let ends =
            "select string_agg(status || coalesce(' ' || output::text, ''), ', ' order by run_id) from pgflow.runs
                    where run_id::text like '00000000%'";
        let done = "completed {\"send\": \"send\"}";
        if engine >= 2 {
            let all = format!("{done}, {done}, {done}, {done}, failed");
            assert_eq!(text(c, ends).await.as_deref(), Some(all.as_str()), "from engine {engine}");
        }
        let open = "select count(*) from pgflow.runs where status = 'started'";
        assert_eq!(text(c, open).await.as_deref(), Some("0"));
        let left = "select string_agg(v::text, ', ') from pgflow.violations() v";
        assert_eq!(text(c, left).await, None, "from engine {engine}");
        assert_eq!(text(c, "select count(*) from pgmq.q_order").await.as_deref(), Some("0"));
    }
}

/// What a new version's functions need, only `--grants` gives: an install without it says so.
#[tokio::test]
async fn an_upgrade_says_which_roles_lack_rights() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    let prefix = RolePrefix::new(database.options().get_database().unwrap()).unwrap();
    let report = install_with_roles(&database.options(), InputStyle::Separate, &prefix).await.unwrap();
    assert_eq!(report.outdated_roles, Vec::<String>::new());
    execute(c, &format!("revoke execute on function pgflow.fail_task from {}", prefix.name(Role::Worker))).await;
    let name = database.options().get_database().unwrap().to_owned();
    let said = Project::on(&database).done(&["install"]).stderr;
    assert!(said.contains(&format!("the roles of {name} lack privileges that this version needs: run `flowsmith install --grants --role-prefix {name}`")), "{said}");
    let report = install_with_roles(&database.options(), InputStyle::Separate, &prefix).await.unwrap();
    assert_eq!(report.outdated_roles, Vec::<String>::new());
}

/// Rights that an older version did not know of come with the upgrade, once it is asked for roles.
#[tokio::test]
async fn roles_are_brought_up_to_date_with_the_engine() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    let prefix = RolePrefix::new(database.options().get_database().unwrap()).unwrap();
    install_with_roles(&database.options(), InputStyle::Separate, &prefix).await.unwrap();
    // Dropped and made anew, as an upgrade that changes a function's signature does it: with no rights.
    execute(c, "drop schema pgflow cascade").await;
    install(&database.options(), InputStyle::Separate).await.unwrap();
    assert_eq!(audit(c).await.unwrap(), [], "nobody has a right on the new schema");
    let missing = "select has_schema_privilege(rolname, 'pgflow', 'usage') from pg_roles where rolname like '%\\_worker' and rolname like current_database() || '%'";
    assert_eq!(text(c, missing).await.as_deref(), Some("false"));
    install_with_roles(&database.options(), InputStyle::Separate, &prefix).await.unwrap();
    let found = audit(c).await.unwrap();
    assert_eq!((found.len(), &found[0].missing, &found[0].extra), (1, &vec![], &vec![]));
}
