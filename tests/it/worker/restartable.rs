//! A server that can be killed and restarted at the same address.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flowsmith_devserver::Server;
use rustix::process::{Pid, Signal, kill_process};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::WAIT_TIMEOUT;
use crate::devserver::postmaster;
use crate::fixture;

/// A server with the database `load` and `synchronous_commit`, so that acknowledged commits survive a kill.
pub(crate) struct Restartable {
    folder: PathBuf,
    /// A symbolic link to the socket folder of the current server.
    socket: PathBuf,
    server: Server,
    /// Killed servers. Dropping one would delete the data folder.
    killed: Vec<Server>,
}

impl Restartable {
    /// The name of the database.
    pub(crate) const DATABASE: &str = "load";

    pub(crate) async fn start(name: &str) -> Self {
        let folder = fixture::new_folder(name);
        let server = fixture::start_server(&folder);
        server.ensure_database(Self::DATABASE).await.unwrap();
        let socket = folder.with_extension("socket");
        let it = Self { folder, socket, server, killed: Vec::new() };
        it.point();
        let durable = format!("alter database {} set synchronous_commit = on", Self::DATABASE);
        sqlx::raw_sql(sqlx::AssertSqlSafe(durable)).execute(&mut it.connect().await).await.unwrap();
        it
    }

    /// The folder of the socket.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The connection options.
    pub(crate) fn options(&self) -> PgConnectOptions {
        self.server.connect_options(Self::DATABASE).socket(&self.socket)
    }

    /// The connection URL.
    pub(crate) fn url(&self) -> String {
        format!("postgresql:///{}?host={}&port=5432&user=postgres", Self::DATABASE, self.socket.display())
    }

    /// Connects, with retries until the server accepts connections.
    pub(crate) async fn connect(&self) -> PgConnection {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        loop {
            match self.options().connect().await {
                Ok(connection) => return connection,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Kills the server with all of its backends, and waits until it refuses connections.
    pub(crate) async fn kill(&self) {
        let server = postmaster(&self.folder);
        let family = children(server);
        for pid in std::iter::once(server).chain(family) {
            // Some processes may have exited in the meantime.
            let _ = kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL);
        }
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while let Ok(connection) = self.options().connect().await {
            drop(connection.close().await);
            assert!(Instant::now() < deadline, "the server still accepts connections");
        }
    }

    /// Restarts the killed server.
    pub(crate) async fn restart(&mut self) {
        let folder = self.folder.clone();
        let server = tokio::task::spawn_blocking(move || fixture::start_server(&folder)).await.unwrap();
        assert!(server.started_here());
        self.killed.push(std::mem::replace(&mut self.server, server));
        self.point();
    }

    fn point(&self) {
        let _ = fs::remove_file(&self.socket);
        let options = self.server.connect_options(Self::DATABASE);
        symlink(options.get_socket().unwrap(), &self.socket).unwrap();
    }
}

/// The running child processes of a process.
fn children(parent: i32) -> Vec<i32> {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        // The name is in parentheses and may contain any character; the parent is the second field after it.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        fields.split_whitespace().nth(1) == Some(&parent.to_string())
    })
    .collect()
}
