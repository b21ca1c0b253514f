//! An official install of pgflow, to compare with: the npm package `@pgflow/core`, fetched once into `target/tmp`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, sync::LazyLock};

use sqlx::postgres::{PgConnectOptions, PgPool};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection};

/// Levels that can be installed: 0.7.2 is 0.8.1 without its last file.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Official {
    V0_7_2,
    V0_8_1,
}

/// Makes a database an official install: pgmq as plain SQL, a stand-in for `realtime.send` that keeps what it is sent in
/// `realtime.sent`, and the package's files.
pub(crate) async fn official_install(options: &PgConnectOptions, version: Official) {
    let pool = PgPool::connect_with(options.clone()).await.unwrap();
    pgmq::install::install_sql_from_embedded(&pool).await.unwrap();
    pool.close().await;
    let mut connection = options.connect().await.unwrap();
    run(&mut connection, include_str!("official_realtime.sql")).await;
    let mut files = files(&MIGRATIONS);
    if version == Official::V0_7_2 {
        files.pop();
    }
    for file in files {
        let sql = fs::read_to_string(file).unwrap();
        // pgmq is there already, as plain SQL.
        let sql: String =
            sql.lines().filter(|line| !line.starts_with("CREATE EXTENSION")).flat_map(|line| [line, "\n"]).collect();
        run(&mut connection, &sql).await;
        // The files set it for their session.
        run(&mut connection, "reset all").await;
    }
}

async fn run(connection: &mut PgConnection, sql: &str) {
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await {
        panic!("the official install failed: {error}");
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "sql"));
    files.sort();
    files
}

/// The folder of the package's SQL.
static MIGRATIONS: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pgflow-core-0.8.1");
    let migrations = folder.join("package/dist/supabase/migrations");
    if !migrations.is_dir() {
        fs::create_dir_all(&folder).unwrap();
        let fetch = "npm pack --silent @pgflow/core@0.8.1 && tar xzf pgflow-core-0.8.1.tgz";
        let status = Command::new("sh").args(["-c", fetch]).current_dir(&folder).status().unwrap();
        assert!(status.success(), "npm could not fetch @pgflow/core@0.8.1");
    }
    migrations
});
