//! The one server of a run, and the databases in it.

use std::fs;
use std::path::{Path, PathBuf};

use flowsmith_devserver::{Durability, Lifetime, Server, Settings, provide};
use flowsmith_postgres::engine::install::{InputStyle, install};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool};
use sqlx::{AssertSqlSafe, ConnectOptions as _};

use crate::args::Args;
use crate::contender::Contender;
use crate::official::{Official, official_install};
use crate::sql::run;

/// The server, with a template for each engine.
pub(crate) struct Place {
    server: Server,
    pub(crate) version: String,
}

impl Place {
    /// A durable server with settings that keep chance out: no checkpoint and no autovacuum falls into one measurement
    /// and not into the other. Each database is vacuumed before it is measured instead.
    pub(crate) async fn open(args: &Args) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("engine");
        let _ = fs::remove_dir_all(&folder);
        let named = std::env::var_os("FLOWSMITH_TEST_POSTGRES_BIN").map(PathBuf::from);
        let settings = Settings { binaries: named, ..Settings::from_env() };
        let binaries = provide(&settings, &|text| eprintln!("{text}")).expect("a PostgreSQL server");
        let start =
            || Server::start(&binaries, &folder, Durability::Durable, Lifetime::Owner).expect("the server starts");
        let server = start();
        let mut connection = connect(&server, "postgres").await;
        for (setting, value) in [
            ("synchronous_commit", args.synchronous_commit.as_str()),
            ("shared_buffers", "512MB"),
            ("max_wal_size", "8GB"),
            ("checkpoint_timeout", "1h"),
            ("autovacuum", "off"),
            ("track_functions", if args.functions { "all" } else { "none" }),
        ] {
            run(&mut connection, &format!("alter system set {setting} = '{value}'")).await;
        }
        // Every database's and both engines'.
        run(&mut connection, &format!("alter role current_user set pgflow.events = '{}'", args.events)).await;
        drop(connection);
        // The shared memory is taken at the start.
        server.stop().expect("the server stops");
        let place = Self { server: start(), version: binaries.version.to_string() };
        place.make_templates().await;
        place
    }

    async fn make_templates(&self) {
        let mut admin = connect(&self.server, "postgres").await;
        for template in ["template_raw", "template_official", "template_ours"] {
            run(&mut admin, &format!("create database {template}")).await;
        }
        let raw = PgPool::connect_with(self.options("template_raw")).await.expect("a connection");
        pgmq::install::install_sql_from_embedded(&raw).await.expect("pgmq");
        raw.close().await;

        install(&self.options("template_ours"), InputStyle::Separate).await.expect("our engine");
        let mut ours = connect(&self.server, "template_ours").await;
        let send: String =
            sqlx::query_scalar("select pg_get_functiondef('realtime.send(jsonb, text, text, boolean)'::regprocedure)")
                .fetch_one(&mut ours)
                .await
                .expect("the function that sends events");

        official_install(&self.options("template_official"), Official::V0_8_1).await;
        // Events cost both the same.
        run(&mut connect(&self.server, "template_official").await, &send).await;
    }

    /// Which of its functions a contender lacks.
    pub(crate) async fn lacks(&self, contender: Contender) -> Vec<&'static str> {
        let mut connection = connect(&self.server, contender.template()).await;
        let mut lacks = Vec::new();
        for function in contender.needs() {
            let there: bool = sqlx::query_scalar("select to_regprocedure($1) is not null")
                .bind(function)
                .fetch_one(&mut connection)
                .await
                .expect("an answer");
            if !there {
                lacks.push(*function);
            }
        }
        lacks
    }

    /// A copy of the contender's template, and a connection to it.
    pub(crate) async fn database(&self, contender: Contender, name: &str) -> PgConnection {
        let template = contender.template();
        let mut admin = connect(&self.server, "postgres").await;
        // A connection that was dropped may take a moment to leave its database.
        run(
            &mut admin,
            &format!("select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '{template}'"),
        )
        .await;
        run(&mut admin, &format!("create database {name} template {template}")).await;
        self.connect(name).await
    }

    pub(crate) async fn has(&self, name: &str) -> bool {
        let mut admin = connect(&self.server, "postgres").await;
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(name)
            .fetch_one(&mut admin)
            .await
            .expect("an answer")
    }

    pub(crate) async fn drop(&self, name: &str) {
        let mut admin = connect(&self.server, "postgres").await;
        sqlx::raw_sql(AssertSqlSafe(format!("drop database {name} with (force)")))
            .execute(&mut admin)
            .await
            .expect("the database goes");
    }

    pub(crate) async fn connect(&self, name: &str) -> PgConnection {
        connect(&self.server, name).await
    }

    fn options(&self, name: &str) -> PgConnectOptions {
        self.server.connect_options(name)
    }

    /// Stops the server and deletes its data.
    pub(crate) fn close(self) {
        let folder = self.server.folder().to_owned();
        self.server.stop().expect("the server stops");
        delete(&folder);
    }
}

fn delete(folder: &Path) {
    if let Err(error) = fs::remove_dir_all(folder) {
        eprintln!("{} stays: {error}", folder.display());
    }
}

async fn connect(server: &Server, name: &str) -> PgConnection {
    server.connect_options(name).disable_statement_logging().connect().await.expect("a connection")
}
