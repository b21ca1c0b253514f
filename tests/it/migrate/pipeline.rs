//! The path from files to a database: each change of `tests/cases/migration`, applied by every method on every engine.

use std::path::Path;

use flowsmith_core::catalog::{Catalog, Flow, Ignore};
use flowsmith_core::migration::{CompileSettings, Folder, MAX_CREATES, Migration, compile};
use flowsmith_postgres::apply::{ApplySettings, apply};
use flowsmith_postgres::database::Target;
use flowsmith_postgres::drift::drift;
use flowsmith_postgres::introspection::{Live, LiveShape, read_snapshot};
use flowsmith_postgres::plan::changes;
use flowsmith_postgres::session::Session;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::TestRunner;
use sqlx::migrate::Migrator;
use sqlx::{AssertSqlSafe, Row};

use crate::engine::definitions::text;
use crate::fixture::Database;
use crate::fixture::command::{flowsmith_engine, official_engine, old_official_engine, psql};
use crate::shared::catalogs;
use crate::shared::migration_cases::{Case, cases};

/// The engines to which a migration can be applied.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Ours,
    Official,
    OfficialOld,
}

impl Engine {
    pub(crate) async fn database(self) -> Database {
        match self {
            Self::Ours => flowsmith_engine().await,
            Self::Official => official_engine().await,
            Self::OfficialOld => old_official_engine().await,
        }
    }

    pub(crate) fn shape(self) -> LiveShape {
        LiveShape { conditions: self == Self::Ours, ledger: true, triggers: true }
    }
}

/// A folder on disk with these migrations.
pub(crate) fn folder(path: &Path, migrations: &[Migration]) -> Folder {
    let mut folder = Folder::read(path).unwrap();
    folder.add(migrations.to_vec()).unwrap();
    folder
}

pub(crate) async fn live(database: &Database, engine: Engine) -> Live {
    read_snapshot(&mut database.connect().await, engine.shape()).await.unwrap()
}

/// Everything in the database that a migration can change, without times.
async fn dump(database: &Database) -> String {
    let sql = "select string_agg(line, e'\\n' order by line) from (
        select to_jsonb(f) - 'created_at' || '{\"t\": \"flow\"}' from pgflow.flows f
        union all select to_jsonb(s) - 'created_at' || '{\"t\": \"step\"}' from pgflow.steps s
        union all select to_jsonb(d) - 'created_at' || '{\"t\": \"dep\"}' from pgflow.deps d
        union all select jsonb_build_object('t', 'queue', 'name', q.queue_name) from pgmq.meta q
        union all select to_jsonb(v) - 'updated_at' || '{\"t\": \"version\"}' from flowsmith.flow_versions v
        union all select to_jsonb(r) - 'since' || '{\"t\": \"trigger\"}' from flowsmith.triggers r
        union all select jsonb_build_object('t', 'function', 'name', p.proname, 'body', p.prosrc, 'config', p.proconfig, 'definer', p.prosecdef)
          from pg_proc p where p.pronamespace = 'flowsmith_triggers'::regnamespace
        union all select jsonb_build_object('t', 'on table', 'trigger', pg_get_triggerdef(g.oid))
          from pg_trigger g where g.tgname like 'flowsmith:%'
        union all select jsonb_build_object('t', 'migration', 'version', m.version, 'name', m.name) from flowsmith.migrations m
        union all select jsonb_build_object('t', 'event', 'id', e.id, 'kind', e.kind, 'detail', e.detail) from flowsmith.events e
      ) rows (row), lateral (select row::text) as text (line)";
    let row = sqlx::raw_sql(sql).fetch_one(&mut database.connect().await).await.unwrap();
    row.get::<Option<String>, _>(0).unwrap_or_default()
}

async fn open(target: &Target) -> Session {
    Session::open(target).await.unwrap()
}

/// Applies a case with `flowsmith apply`, in two steps, and checks catalog, drift and plan.
async fn by_apply(case: &Case, engine: Engine) -> Database {
    let database = engine.database().await;
    let target = Target::new(database.options());
    let place = tempfile::tempdir().unwrap();
    let settings = ApplySettings::default();
    let held = folder(place.path(), &case.before);
    apply(open(&target).await, &held, &settings, |_| {}).await.unwrap_or_else(|error| panic!("{}: {error}", case.name));
    assert_eq!(live(&database, engine).await.catalog, case.base, "{}", case.name);

    let whole = folder(place.path(), &case.change);
    let applied = apply(open(&target).await, &whole, &settings, |_| {}).await;
    let applied = applied.unwrap_or_else(|error| panic!("{}: {error}", case.name));
    assert_eq!(applied.migrations.len(), case.change.len(), "{}", case.name);
    let live = live(&database, engine).await;
    assert_eq!(live.catalog, case.expected, "{}", case.name);
    assert!(drift(&whole, &live, &Ignore::default()).unwrap().is_empty(), "{}", case.name);
    let (planned, unmanaged) = changes(&live, case.files.clone(), &Default::default(), &Ignore::default());
    assert!(planned.is_empty() && unmanaged.is_empty(), "{}: {planned:?}", case.name);
    database
}

/// Applies each file of a case with `psql -1 -f`, then all files twice more in other orders, which changes nothing.
async fn by_psql(case: &Case, engine: Engine) -> Database {
    let database = engine.database().await;
    let place = tempfile::tempdir().unwrap();
    let files: Vec<_> = folder(place.path(), &case.migrations().cloned().collect::<Vec<_>>())
        .migrations()
        .iter()
        .map(|migration| place.path().join(migration.file_name()))
        .collect();
    let run =
        |file: &std::path::PathBuf| psql(&database, file).unwrap_or_else(|error| panic!("{}: {error}", case.name));
    files.iter().for_each(run);
    let once = dump(&database).await;
    files.iter().rev().for_each(run);
    files.iter().for_each(run);
    assert_eq!(dump(&database).await, once, "{}: a second run changes nothing", case.name);
    database
}

/// Applies a case as `sqlx migrate run` does.
async fn by_sqlx(case: &Case, engine: Engine) -> Database {
    let database = engine.database().await;
    let place = tempfile::tempdir().unwrap();
    folder(place.path(), &case.migrations().cloned().collect::<Vec<_>>());
    let migrator = Migrator::new(place.path()).await.unwrap();
    let mut connection = database.connect().await;
    migrator.run(&mut connection).await.unwrap_or_else(|error| panic!("{}: {error}", case.name));
    migrator.run(&mut connection).await.unwrap();
    database
}

async fn every_case_on(engine: Engine) {
    for case in cases().iter().filter(|case| engine == Engine::Ours || !case.needs_conditions()) {
        let applied = dump(&by_apply(case, engine).await).await;
        assert_eq!(dump(&by_psql(case, engine).await).await, applied, "{}: psql", case.name);
        assert_eq!(dump(&by_sqlx(case, engine).await).await, applied, "{}: sqlx", case.name);
    }
}

#[tokio::test]
async fn every_change_is_applied_to_the_flowsmith_engine_by_every_method() {
    every_case_on(Engine::Ours).await;
}

#[tokio::test]
async fn every_change_is_applied_to_an_official_engine() {
    for case in cases().iter().filter(|case| !case.needs_conditions()) {
        by_apply(case, Engine::Official).await;
    }
}

#[tokio::test]
#[ignore = "soak: `cargo soak`"]
async fn every_change_is_applied_to_an_official_engine_by_every_method() {
    every_case_on(Engine::Official).await;
}

#[tokio::test]
#[ignore = "soak: `cargo soak`"]
async fn every_change_is_applied_to_the_oldest_engine() {
    for case in cases().iter().filter(|case| !case.needs_conditions()) {
        by_apply(case, Engine::OfficialOld).await;
    }
}

#[tokio::test]
async fn conditions_are_refused_by_an_engine_without_them() {
    let database = official_engine().await;
    let place = tempfile::tempdir().unwrap();
    for case in cases().iter().filter(|case| case.needs_conditions()) {
        let file = place.path().join("m.sql");
        std::fs::write(&file, &case.migrations().next().unwrap().content).unwrap();
        let refused = psql(&database, &file).unwrap_err();
        assert!(refused.contains("FL001") && refused.contains("which this engine does not support"), "{refused}");
    }
    assert_eq!(dump(&database).await, "");
}

/// A catalog for engines of any level.
pub(crate) fn without_conditions(catalog: &Catalog) -> Catalog {
    let plain = |flow: &Flow| {
        let mut flow = flow.clone();
        for step in &mut flow.steps {
            step.required_input_pattern = None;
            step.forbidden_input_pattern = None;
            step.when_unmet = flowsmith_core::catalog::FailureMode::Skip;
            step.when_exhausted = flowsmith_core::catalog::FailureMode::Fail;
        }
        flow
    };
    catalog.iter().map(|(_, flow)| plain(flow)).collect()
}

/// Migrates from one catalog to the next, as `compile` and `apply` do.
async fn bring(database: &Database, engine: Engine, from: &Catalog, to: &Catalog, version: &str) -> Live {
    let settings = CompileSettings::new(version.parse().unwrap());
    let migrations = compile(from, to.clone(), &settings).unwrap().migrations;
    let mut connection = database.connect().await;
    for migration in migrations {
        let sql = migration.content.clone();
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap_or_else(|error| {
            panic!("{error}\n{}", migration.content);
        });
    }
    live(database, engine).await
}

#[tokio::test]
async fn set_based_statements_and_calls_give_the_same_catalogs() {
    let mut runner = TestRunner::deterministic();
    for _ in 0..8 {
        let drawn = catalogs::catalog().new_tree(&mut runner).unwrap().current();
        let plain = without_conditions(&drawn);
        let (one, other) = (flowsmith_engine().await, official_engine().await);
        let by_set = bring(&one, Engine::Ours, &Catalog::new(), &plain, "20260101000000").await;
        let by_calls = bring(&other, Engine::Official, &Catalog::new(), &plain, "20260101000000").await;
        assert_eq!(by_set.catalog, plain);
        assert_eq!(by_calls.catalog, plain);
        assert!(by_set.without_queue.is_empty() && by_calls.without_queue.is_empty());
        let places = "(select string_agg(concat_ws(' ', flow_slug, step_slug, step_index, deps_count), e'\\n'
            order by flow_slug, step_index) from pgflow.steps)";
        let (one, other) = (&mut one.connect().await, &mut other.connect().await);
        assert_eq!(text(one, places).await, text(other, places).await);
        assert_eq!(
            bring(&flowsmith_engine().await, Engine::Ours, &Catalog::new(), &drawn, "20260101000000").await.catalog,
            drawn
        );
    }
}

/// Migrates random catalogs, without runs, to other random catalogs.
#[tokio::test]
async fn any_catalog_can_be_migrated_to_any_other() {
    migrate_random_catalogs(3).await;
}

#[tokio::test]
#[ignore = "soak: `cargo soak`"]
async fn hundred_catalogs_can_be_migrated_to_others() {
    migrate_random_catalogs(100).await;
}

async fn migrate_random_catalogs(count: usize) {
    let mut runner = TestRunner::deterministic();
    for _ in 0..count {
        let draw = |runner: &mut TestRunner| catalogs::catalog().new_tree(runner).unwrap().current();
        let (first, second) = (draw(&mut runner), draw(&mut runner));
        for engine in [Engine::Ours, Engine::Official] {
            let fit =
                |catalog: &Catalog| if engine == Engine::Ours { catalog.clone() } else { without_conditions(catalog) };
            let (first, second) = (fit(&first), fit(&second));
            let database = engine.database().await;
            let held = bring(&database, engine, &Catalog::new(), &first, "20260101000000").await;
            assert_eq!(held.catalog, first);
            let wanted = flowsmith_core::migration::carry_over(&first, second.clone());
            assert_eq!(bring(&database, engine, &first, &second, "20260102000000").await.catalog, wanted);
        }
    }
}

#[tokio::test]
async fn flows_beyond_the_lock_table_are_split_into_several_migrations() {
    let flows = 600_usize;
    let catalog: Catalog = (0..flows)
        .map(|number| Flow {
            id: flowsmith_core::catalog::FlowId::new(format!("flow_{number}"), 1),
            state: flowsmith_core::catalog::State::Current,
            options: Default::default(),
            steps: vec![flowsmith_core::catalog::Step::single("only")],
            annotations: Default::default(),
            triggers: Default::default(),
        })
        .collect();
    let settings = CompileSettings::new("20260101000000".parse().unwrap());
    let migrations = compile(&Catalog::new(), catalog.clone(), &settings).unwrap().migrations;
    assert_eq!(migrations.len(), flows.div_ceil(MAX_CREATES));
    let database = flowsmith_engine().await;
    let place = tempfile::tempdir().unwrap();
    let folder = folder(place.path(), &migrations);
    let target = Target::new(database.options());
    let applied = apply(open(&target).await, &folder, &ApplySettings::default(), |_| {}).await.unwrap();
    assert_eq!(applied.migrations.len(), migrations.len());
    assert_eq!(live(&database, Engine::Ours).await.catalog, catalog);
}

#[tokio::test]
async fn flow_of_ten_thousand_steps_is_applied() {
    let steps = (0..10_000).map(|number| {
        let mut step = flowsmith_core::catalog::Step::single(format!("step_{number}"));
        step.depends_on = if number == 0 { Vec::new() } else { vec![format!("step_{}", number - 1)] };
        step
    });
    let flow = Flow {
        id: flowsmith_core::catalog::FlowId::new("long", 1),
        state: flowsmith_core::catalog::State::Current,
        options: Default::default(),
        steps: steps.collect(),
        annotations: Default::default(),
        triggers: Default::default(),
    };
    let catalog: Catalog = [flow].into_iter().collect();
    let database = flowsmith_engine().await;
    assert_eq!(bring(&database, Engine::Ours, &Catalog::new(), &catalog, "20260101000000").await.catalog, catalog);
}
