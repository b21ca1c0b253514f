//! A stand-in for the shared test server: one disposable server, a fresh database for each test.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};

static SOCKETS: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = PathBuf::from(format!("/dev/shm/flowsmith-engine-test-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    let bin = std::env::var("FLOWSMITH_TEST_POSTGRES_BIN").unwrap_or("/usr/lib/postgresql/15/bin".into());
    let (data, log) = (folder.join("data"), folder.join("log"));
    let script = format!(
        "{bin}/initdb -D {data} -A trust -E UTF8 --locale=C --no-sync --no-instructions >/dev/null && \
         {bin}/pg_ctl -D {data} -l {log} -w -o \"-F -k {folder} -h '' -c max_connections=300\" start >/dev/null",
        data = data.display(),
        log = log.display(),
        folder = folder.display(),
    );
    let status = Command::new("runuser").args(["-u", "postgres", "--", "sh", "-c", &script]).status().unwrap();
    assert!(status.success());
    let end = format!(
        "while [ -d /proc/{pid} ]; do sleep 1; done; {bin}/pg_ctl -D {data} -m immediate stop; rm -rf {folder}",
        pid = std::process::id(),
        data = data.display(),
        folder = folder.display()
    );
    let detached = format!("setsid sh -c '{end}' >/dev/null 2>&1 </dev/null &");
    Command::new("runuser").args(["-u", "postgres", "--", "sh", "-c", &detached]).status().unwrap();
    folder
});

pub(crate) struct Database {
    name: String,
}

impl Database {
    pub(crate) async fn create() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let mut connection = options("postgres").connect().await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(format!("create database {name}"))).execute(&mut connection).await.unwrap();
        Self { name }
    }

    pub(crate) fn options(&self) -> PgConnectOptions {
        options(&self.name)
    }

    pub(crate) fn url(&self) -> String {
        format!("postgres://postgres@/{}?host={}", self.name, SOCKETS.display())
    }

    pub(crate) async fn connect(&self) -> PgConnection {
        self.options().connect().await.unwrap()
    }
}

fn options(name: &str) -> PgConnectOptions {
    PgConnectOptions::new_without_pgpass().socket(&*SOCKETS).username("postgres").database(name)
}
