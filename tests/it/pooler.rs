//! A pooler in transaction mode in front of a server.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnectOptions;

use crate::engine_definitions::text;
use crate::support::{self, Database, left_out};

const PATIENCE: Duration = Duration::from_secs(20);

/// PgBouncer, killed when it is dropped.
pub(crate) struct Pooler {
    folder: PathBuf,
    /// The socket's folder of the server behind it.
    socket: PathBuf,
    process: Child,
    pub(crate) url: String,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Pooler {
    /// In front of the shared server, in a folder of this name. None where the machine has no `pgbouncer`;
    /// `FLOWSMITH_TEST_PGBOUNCER` names one that is not on the path.
    pub(crate) async fn start(database: &Database, folder: &str) -> Option<Self> {
        let c = &mut database.connect().await;
        let name = text(c, "current_database()").await.unwrap();
        let socket = text(c, "current_setting('unix_socket_directories')").await.unwrap();
        Self::in_front_of(Path::new(&socket), &name, folder).await
    }

    /// In front of a database of the server that has its socket in a folder.
    pub(crate) async fn in_front_of(socket: &Path, database: &str, folder: &str) -> Option<Self> {
        if Command::new(program()).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err() {
            left_out("there is no pgbouncer on this machine");
            return None;
        }
        let folder = support::folder(folder);
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
        // A server that comes back is found at once.
        let settings = format!(
            "[databases]\n{database} = host={socket} port=5432 user=postgres\n[pgbouncer]\npool_mode = transaction\n\
             auth_type = any\nunix_socket_dir = {folder}\nlisten_port = 6543\nlogfile = {folder}/log\ndefault_pool_size = 3\n\
             server_round_robin = 1\nserver_reset_query_always = 0\nserver_login_retry = 1\n",
            socket = socket.display(),
            folder = folder.display()
        );
        fs::write(folder.join("pgbouncer.ini"), settings).unwrap();
        let url = format!("postgresql:///{database}?host={}&port=6543&user=postgres", folder.display());
        let process = spawn(&folder, socket);
        let pooler = Self { folder, socket: socket.to_owned(), process, url };
        pooler.is_ready().await;
        Some(pooler)
    }

    /// How sqlx connects through it.
    pub(crate) fn options(&self) -> PgConnectOptions {
        self.url.parse::<PgConnectOptions>().unwrap().extra_float_digits(None)
    }

    /// Cuts all its connections, without a word to anybody.
    pub(crate) fn stop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts it again at the same place, after it was stopped.
    pub(crate) async fn restart(&mut self) {
        self.process = spawn(&self.folder, &self.socket);
        self.is_ready().await;
    }

    async fn is_ready(&self) {
        let end = Instant::now() + PATIENCE;
        while let Err(error) = self.options().connect().await {
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(Instant::now() < end, "{error}: {}", log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

fn program() -> String {
    std::env::var("FLOWSMITH_TEST_PGBOUNCER").unwrap_or("pgbouncer".to_owned())
}

fn spawn(folder: &Path, socket: &Path) -> Child {
    let mut command = Command::new(program());
    if rustix::process::geteuid().is_root() {
        // It refuses root; only the server's own user may enter the folder of its socket.
        let owner = Command::new("stat").args(["-L", "-c", "%U"]).arg(socket).output().unwrap();
        command.args(["-u", String::from_utf8(owner.stdout).unwrap().trim()]);
    }
    command.arg(folder.join("pgbouncer.ini")).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}
