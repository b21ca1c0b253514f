//! The server, its databases, and flows with runs in them.

use std::fs;
use std::path::PathBuf;

use flowsmith_devserver::{Durability, Lifetime, Server, Settings, provide};
use flowsmith_postgres::engine::install::{InputStyle, install};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _};

/// What a flow looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Single,
    /// Five steps, each after the one before.
    Chain,
    /// One map over an array of 200, the run's input.
    Map,
}

impl Shape {
    pub(crate) const ALL: [Self; 3] = [Self::Single, Self::Chain, Self::Map];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Single => "single steps",
            Self::Chain => "chains of 5",
            Self::Map => "maps of 200",
        }
    }

    pub(crate) fn tasks_of_a_run(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Chain => 5,
            Self::Map => 200,
        }
    }

    pub(crate) fn steps(self) -> Vec<String> {
        let count = if self == Self::Chain { 5 } else { 1 };
        (0..count).map(|number| format!("step_{number}")).collect()
    }
}

/// The server, with a template that has the engine.
pub(crate) struct Place {
    server: Server,
    pub(crate) version: String,
}

impl Place {
    pub(crate) async fn open() -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("worker");
        let _ = fs::remove_dir_all(&folder);
        let named = std::env::var_os("FLOWSMITH_TEST_POSTGRES_BIN").map(PathBuf::from);
        let settings = Settings { binaries: named, ..Settings::from_env() };
        let binaries = provide(&settings, &|text| eprintln!("{text}")).expect("a PostgreSQL server");
        let start =
            || Server::start(&binaries, &folder, Durability::Durable, Lifetime::Owner).expect("the server starts");
        let server = start();
        let mut admin = server.connect_options("postgres").connect().await.expect("a connection");
        // As in the bench of the engine.
        for setting in [
            "synchronous_commit = off",
            "shared_buffers = '512MB'",
            "max_wal_size = '8GB'",
            "checkpoint_timeout = '1h'",
            "autovacuum = off",
        ] {
            run(&mut admin, &format!("alter system set {setting}")).await;
        }
        drop(admin);
        server.stop().expect("the server stops");
        let place = Self { server: start(), version: binaries.version.to_string() };
        place.create("empty", "template1").await;
        install(&place.options("empty"), InputStyle::Separate).await.expect("the engine");
        place
    }

    pub(crate) fn options(&self, name: &str) -> PgConnectOptions {
        self.server.connect_options(name).disable_statement_logging()
    }

    pub(crate) async fn connect(&self, name: &str) -> PgConnection {
        self.options(name).connect().await.expect("a connection")
    }

    async fn create(&self, name: &str, template: &str) {
        let mut admin = self.connect("postgres").await;
        let cut = "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = ";
        run(&mut admin, &format!("{cut}'{template}'")).await;
        run(&mut admin, &format!("drop database if exists {name} with (force)")).await;
        run(&mut admin, &format!("create database {name} template {template}")).await;
    }

    /// A database with runs of a flow, and how many tasks they have. Without events, unless they are wanted.
    pub(crate) async fn fill(&self, name: &str, shape: Shape, runs: usize, events: bool) -> usize {
        self.create(name, "empty").await;
        let events = if events { "on" } else { "off" };
        run(&mut self.connect("postgres").await, &format!("alter database {name} set pgflow.events = '{events}'"))
            .await;
        let mut c = self.connect(name).await;
        run(&mut c, "select pgflow.create_flow('flow', timeout => 600)").await;
        let (kind, input) = match shape {
            Shape::Map => ("map", "(select jsonb_agg(n + i) from generate_series(1, 200) i)"),
            Shape::Single | Shape::Chain => ("single", "jsonb_build_object('order', n)"),
        };
        let mut before = String::new();
        for step in shape.steps() {
            run(&mut c, &format!("select pgflow.add_step('flow', '{step}', '{{{before}}}', step_type => '{kind}')"))
                .await;
            before = step;
        }
        // The input depends on n, so that each n starts a run of its own.
        let start =
            format!("select count(r.run_id) from generate_series(1, {runs}) n, pgflow.start_flow('flow', {input}) r");
        run(&mut c, &start).await;
        run(&mut c, "vacuum analyze").await;
        runs * shape.tasks_of_a_run()
    }

    /// How many tasks are completed; every one should be, once.
    pub(crate) async fn assert_done(&self, name: &str, tasks: usize) {
        let mut c = self.connect(name).await;
        let sql = "select (select count(*) from pgflow.step_tasks where status = 'completed' and attempts_count = 1), \
                   (select count(*) from pgflow.runs where status <> 'completed')";
        let row = sqlx::raw_sql(sql).fetch_one(&mut c).await.expect("counts");
        let (done, open): (i64, i64) = (row.get(0), row.get(1));
        assert_eq!((done as usize, open), (tasks, 0), "tasks that are completed, runs that are not");
    }

    pub(crate) fn close(self) {
        let folder = self.server.folder().to_owned();
        self.server.stop().expect("the server stops");
        if let Err(error) = fs::remove_dir_all(&folder) {
            eprintln!("{} stays: {error}", folder.display());
        }
    }
}

pub(crate) async fn run(connection: &mut PgConnection, sql: &str) {
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await {
        panic!("{sql}: {error}");
    }
}

/// How busy the machine is, with whatever: the average of a minute.
pub(crate) fn load() -> String {
    let averages = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    averages.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}
