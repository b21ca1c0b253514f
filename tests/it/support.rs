//! One disposable server for the whole run, a fresh database for each test.
//!
//! ```text
//! let database = Database::create().await;                                          // empty
//! let database = Database::from_template("engine", async |options| { … }).await;    // a copy of what the block built once
//! ```
//!
//! `FLOWSMITH_TEST_POSTGRES_BIN` names the folder of another server's programs, for a version matrix. Nothing is left
//! behind, even by a run that is killed: its servers end with it, and `janitor.sh` deletes its folder.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, LazyLock, Mutex};

use flowsmith_devserver::{Binaries, Durability, Lifetime, Server, Settings, provide};
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};
use tokio::sync::OnceCell;

/// Below this, /dev/shm (64 MB in many containers) does not hold a server's data.
const ENOUGH_MEMORY: u64 = 1 << 30;

/// The programs that the tests run.
pub(crate) fn binaries() -> &'static Binaries {
    static BINARIES: LazyLock<Binaries> = LazyLock::new(|| {
        let binaries = std::env::var_os("FLOWSMITH_TEST_POSTGRES_BIN").map(PathBuf::from);
        provide(&Settings { binaries, ..Settings::from_env() }, &|_| {}).unwrap_or_else(|error| panic!("{error}"))
    });
    &BINARIES
}

/// Whether a server has an extension to install.
pub(crate) async fn has_extension(connection: &mut PgConnection, name: &str) -> bool {
    let sql = "select exists (select from pg_available_extensions where name = $1)";
    let there: bool = sqlx::query_scalar(sql).bind(name).fetch_one(connection).await.unwrap();
    if !there {
        left_out(&format!("the server in {} has no extension {name}", binaries().dir.display()));
    }
    there
}

/// Says why a test cannot run here. CI can run every one of them.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
pub(crate) fn left_out(why: &str) {
    let is_ci = std::env::var_os("CI").is_some() && std::env::var_os("FLOWSMITH_TEST_POSTGRES_BIN").is_none();
    assert!(!is_ci, "{why}, and CI leaves out no test: .ci/run installs what they need");
    eprintln!("left out: {why}");
}

/// The server that all tests share.
pub(crate) fn server() -> &'static Server {
    static SERVER: LazyLock<Server> = LazyLock::new(|| start(&folder("shared")));
    &SERVER
}

/// Starts a disposable server on a folder.
pub(crate) fn start(folder: &Path) -> Server {
    Server::start(binaries(), folder, Durability::Disposable, Lifetime::Owner).unwrap_or_else(|error| panic!("{error}"))
}

/// A new folder of this run that every user may enter, for a server of a test's own; the name must be unique.
pub(crate) fn folder(name: &str) -> PathBuf {
    static RUN: LazyLock<Run> = LazyLock::new(Run::begin);
    let folder = RUN.folder.join(name);
    make_open(&folder);
    folder
}

/// A database of a test's own. Dropped with the value, at the latest with the server.
pub(crate) struct Database {
    name: String,
}

impl Database {
    /// An empty database.
    pub(crate) async fn create() -> Self {
        Self::copy_of("template1").await
    }

    /// A copy of the template `name`, which the first caller builds with `setup`; the others wait. Connections that
    /// `setup` leaves open are cut.
    pub(crate) async fn from_template(name: &'static str, setup: impl AsyncFnOnce(PgConnectOptions)) -> Self {
        type Templates = Mutex<HashMap<&'static str, Arc<OnceCell<()>>>>;
        static TEMPLATES: LazyLock<Templates> = LazyLock::new(Templates::default);
        let template = format!("template_{name}");
        let built = TEMPLATES.lock().unwrap().entry(name).or_default().clone();
        built
            .get_or_init(async || {
                // A setup that failed, in another test, may have left half a template.
                run(&format!("DROP DATABASE IF EXISTS {template} WITH (FORCE)")).await;
                run(&format!("CREATE DATABASE {template}")).await;
                setup(server().connect_options(&template)).await;
                run(&format!("ALTER DATABASE {template} ALLOW_CONNECTIONS false")).await;
                run(&format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{template}'"))
                    .await;
            })
            .await;
        Self::copy_of(&template).await
    }

    async fn copy_of(template: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        run(&format!("CREATE DATABASE {name} TEMPLATE {template}")).await;
        Self { name }
    }

    /// How sqlx connects to it.
    pub(crate) fn options(&self) -> PgConnectOptions {
        server().connect_options(&self.name)
    }

    /// How psql and the command line connect to it.
    pub(crate) fn url(&self) -> String {
        server().url(&self.name)
    }

    /// A connection to it.
    pub(crate) async fn connect(&self) -> PgConnection {
        self.options().connect().await.unwrap()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // Another thread does it, so that tests need not wait. It only ever fails to hear when the run is over.
        static DROPPER: LazyLock<Sender<String>> = LazyLock::new(|| {
            let (send, names) = channel::<String>();
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                for name in names {
                    runtime.block_on(run(&format!("DROP DATABASE {name} WITH (FORCE)")));
                }
            });
            send
        });
        let _ = DROPPER.send(std::mem::take(&mut self.name));
    }
}

/// Runs a statement of the shared server's superuser.
async fn run(sql: &str) {
    let mut connection = server().connect_options("postgres").connect().await.unwrap();
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await {
        panic!("{sql}: {error}");
    }
}

/// The folder of this run and the process that deletes it afterwards.
struct Run {
    folder: PathBuf,
    /// Its standard input closes when this process ends.
    _janitor: Child,
}

impl Run {
    fn begin() -> Self {
        let base = base();
        sweep(&base);
        let folder = base.join(format!("flowsmith-test-{}", std::process::id()));
        make_open(&folder);
        let janitor = Command::new("sh")
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/janitor.sh"))
            .arg(&folder)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { folder, _janitor: janitor }
    }
}

fn base() -> PathBuf {
    let memory = Path::new("/dev/shm");
    let large = rustix::fs::statvfs(memory).is_ok_and(|shm| shm.f_blocks * shm.f_frsize >= ENOUGH_MEMORY);
    if large { memory.into() } else { std::env::temp_dir() }
}

/// Deletes the folders of runs that ended without their janitor, as by a power cut or the end of a container.
fn sweep(base: &Path) {
    for entry in fs::read_dir(base).unwrap().flatten() {
        let name = entry.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.strip_prefix("flowsmith-test-")?.parse().ok()) else {
            continue;
        };
        if !is_alive(pid) {
            // Another user's, or its janitor is at work: not ours to delete.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Whether a process exists, whoever it belongs to.
pub(crate) fn is_alive(pid: i32) -> bool {
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::test_kill_process(pid) != Err(rustix::io::Errno::SRCH)
}

/// Makes a folder that every user may enter, whatever the umask: as root, the server runs as another user.
fn make_open(folder: &Path) {
    fs::create_dir(folder).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
}
