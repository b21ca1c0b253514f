//! Starts and stops the server. A missing data folder is created, and a running server is used.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use super::account::Account;
use super::find::Binaries;
use super::place::Place;
use super::postmaster::Postmaster;
use super::process::{self, Process};
use super::{ServerError, connect};

/// The longest time of a start, which includes recovery after a crash.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// The longest time for which the backends and the shared memory of a crashed server may block the next one.
const LEFTOVER_TIMEOUT: Duration = Duration::from_secs(10);

/// The number of log lines that an error quotes.
const TAIL: usize = 15;

/// Whether the data survives a crash of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Data survives: PostgreSQL's defaults.
    Durable,
    /// Data may be lost, because nothing is synced to disk. For tests.
    Disposable,
}

impl Durability {
    fn initdb_options(self) -> &'static [&'static str] {
        match self {
            Self::Durable => &[],
            Self::Disposable => &["--no-sync"],
        }
    }

    fn server_options(self) -> &'static [&'static str] {
        match self {
            Self::Durable => &[],
            // Each test has a database of its own, and compiling its few queries would take longer than running them.
            Self::Disposable => &["-F", "-c", "synchronous_commit=off", "-c", "full_page_writes=off", "-c", "jit=off"],
        }
    }
}

/// How long a server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Until the process that started it ends, even if it is killed.
    Owner,
    /// Until [`Server::stop_running`].
    Detached,
}

/// A running server. Dropping this value stops a server that this process started with [`Lifetime::Owner`]; any other continues.
#[derive(Debug)]
pub struct Server {
    pub(super) socket_dir: PathBuf,
    pub(super) place: Place,
    account: Account,
    /// None if another process started the server, or it is detached.
    process: Option<Process>,
    started_here: bool,
}

impl Server {
    /// Starts a server on a folder, which is created if missing, or uses the server that already runs on it.
    ///
    /// If root's server user cannot access the folder (one under `/root`), the data goes to `/var/lib/flowsmith`; see
    /// [`Server::moved`]. Blocks for up to 60 seconds if a crashed server has much to recover.
    ///
    /// # Errors
    /// [`ServerError::Untrusted`] if the folder is a link, or another user can write to it; [`ServerError::WrongOwner`] and [`ServerError::OtherMajor`] if the data belongs to another user or another major version;
    /// [`ServerError::Initdb`], [`ServerError::Ended`] and [`ServerError::NotReady`], with the last lines of the log, if PostgreSQL
    /// fails; [`ServerError::Locked`] if another process hangs in the same call.
    pub fn start(
        binaries: &Binaries,
        folder: &Path,
        durability: Durability,
        lifetime: Lifetime,
    ) -> Result<Self, ServerError> {
        let account = Account::for_server()?;
        let place = Place::settle(folder, &account)?;
        let _lock = place.lock()?;
        if place.has_data() {
            place.check_owner(&account)?;
        } else {
            make_data(&place, binaries, durability, &account)?;
        }
        if let Some(running) = running(&place)? {
            return Ok(Self { socket_dir: running.socket_dir, place, account, process: None, started_here: false });
        }
        place.check_version(binaries.version)?;
        let socket_dir = place.make_socket_dir(&account)?;
        let process = launch(&place, &socket_dir, binaries, (durability, lifetime), &account)?;
        let process = match lifetime {
            Lifetime::Owner => Some(process),
            Lifetime::Detached => {
                process.leave();
                None
            }
        };
        Ok(Self { socket_dir, place, account, process, started_here: true })
    }

    /// The major version that created the data in a folder, if there is readable data. It serves as [`super::Settings::major`] of
    /// [`super::provide`].
    pub fn data_major(folder: &Path) -> Option<u32> {
        Place::at(folder.into()).made_by().ok()?.parse().ok()
    }

    /// The folder with the data, the log and the lock.
    pub fn folder(&self) -> &Path {
        &self.place.folder
    }

    /// Whether [`Server::folder`] is another folder than the requested one, because the server's user could not access that.
    pub fn moved(&self) -> bool {
        self.place.moved
    }

    /// Whether this process started the server.
    pub fn started_here(&self) -> bool {
        self.started_here
    }

    /// Stops the server that runs on a folder, even if another process started it. Returns false if none runs.
    ///
    /// # Errors
    /// [`ServerError::Killed`] if it did not stop within 30 seconds; [`ServerError::Untrusted`] and [`ServerError::ForeignProcess`] if
    /// the folder or the process in its notes is not that of this server.
    pub fn stop_running(folder: &Path) -> Result<bool, ServerError> {
        let place = Place::at(folder.into());
        if !place.folder.exists() {
            return Ok(false);
        }
        let account = Account::for_server()?;
        place.check_trust(&account)?;
        let Some(running) = Postmaster::read(&place.data()).filter(Postmaster::listens) else { return Ok(false) };
        let data = place.data();
        let Some(server) = process::Other::server(running.pid, &data, &account) else {
            return Err(ServerError::ForeignProcess { pid: running.pid, data });
        };
        server.stop()?;
        place.delete_socket_dir(&account)?;
        Ok(true)
    }

    /// Stops the server if this process started it. Dropping does the same but ignores errors.
    ///
    /// # Errors
    /// [`ServerError::Killed`] if it did not stop within 30 seconds.
    pub fn stop(mut self) -> Result<(), ServerError> {
        self.halt()
    }

    fn halt(&mut self) -> Result<(), ServerError> {
        let Some(process) = self.process.take() else { return Ok(()) };
        process.stop()?;
        self.place.delete_socket_dir(&self.account)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Callers that need the result call `stop`.
        let _ = self.halt();
    }
}

/// Creates the data folder under a temporary name and renames it, so that a killed `initdb` leaves no folder that looks complete.
fn make_data(place: &Place, binaries: &Binaries, durability: Durability, account: &Account) -> Result<(), ServerError> {
    let new = place.folder.join("data.new");
    delete_unfinished(&new)?;
    DirBuilder::new().mode(0o700).create(&new).map_err(ServerError::io("create", &new))?;
    account.own(&new)?;
    let initdb = binaries.dir.join("initdb");
    let mut command = account.command(&initdb);
    command
        .arg("--pgdata")
        .arg(&new)
        .args(["--username", connect::USER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-instructions"])
        .args(durability.initdb_options())
        .stdin(Stdio::null());
    process::end_with_owner(&mut command, Signal::KILL);
    let output = command.output().map_err(ServerError::io("run", initdb))?;
    if !output.status.success() {
        let message = [output.stdout, output.stderr].concat();
        return Err(ServerError::Initdb { folder: place.folder.clone(), output: tail(&message) });
    }
    fs::rename(&new, place.data()).map_err(ServerError::io("rename", new))
}

/// Deletes what a killed `initdb` left. A child of it may write there for a moment longer.
fn delete_unfinished(folder: &Path) -> Result<(), ServerError> {
    let mut last = None;
    let deleted = process::poll(LEFTOVER_TIMEOUT, || match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            last = Some(error);
            None
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Some(Ok(())),
        result => Some(result),
    });
    let result = deleted.unwrap_or_else(|| last.map_or(Ok(()), Err));
    result.map_err(ServerError::io("delete", folder))
}

/// The server that already runs on the folder. Waits for a server that is still stopping.
fn running(place: &Place) -> Result<Option<Postmaster>, ServerError> {
    process::poll(START_PATIENCE, || match Postmaster::read(&place.data()).filter(Postmaster::listens) {
        None => Some(None),
        Some(server) if server.is_ready() => Some(Some(server)),
        Some(_) => None,
    })
    .ok_or_else(|| not_ready(place))
}

/// Starts the server and waits until it is ready. The processes of a killed server may hold its shared memory for a moment, so a
/// start after an unclean end is retried for a while.
fn launch(
    place: &Place,
    socket_dir: &Path,
    binaries: &Binaries,
    (durability, lifetime): (Durability, Lifetime),
    account: &Account,
) -> Result<Process, ServerError> {
    let leftover = place.data().join("postmaster.pid").exists();
    let timeout = if leftover { LEFTOVER_TIMEOUT } else { Duration::ZERO };
    let mut last = None;
    process::poll(timeout, || match launch_once(place, socket_dir, binaries, (durability, lifetime), account) {
        Err(error @ ServerError::Ended { .. }) => {
            last = Some(error);
            None
        }
        other => Some(other),
    })
    .unwrap_or_else(|| Err(last.unwrap_or_else(|| not_ready(place))))
}

fn launch_once(
    place: &Place,
    socket_dir: &Path,
    binaries: &Binaries,
    (durability, lifetime): (Durability, Lifetime),
    account: &Account,
) -> Result<Process, ServerError> {
    let data = place.data();
    let log = File::create(place.log()).map_err(ServerError::io("open", place.log()))?;
    let output = log.try_clone().map_err(ServerError::io("open", place.log()))?;
    let program = binaries.dir.join("postgres");
    let mut command = account.command(&program);
    command
        .arg("-D")
        .arg(&data)
        .arg("-k")
        .arg(socket_dir)
        .args(["-h", "", "-p", connect::PORT_TEXT, "-c", "logging_collector=off", "-c", "log_destination=stderr"])
        .args(durability.server_options())
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(log);
    let process = Process::spawn(command, lifetime).map_err(ServerError::io("run", program))?;
    let pid = process.id();
    process::poll(START_PATIENCE, || match process.ended() {
        Ok(Some(status)) => Some(Err(ended(place, &status.to_string()))),
        Err(error) => Some(Err(ended(place, &error.to_string()))),
        Ok(None) => Postmaster::read(&data).filter(|server| server.pid == pid && server.is_ready()).map(|_| Ok(())),
    })
    .unwrap_or_else(|| Err(not_ready(place)))?;
    Ok(process)
}

fn ended(place: &Place, status: &str) -> ServerError {
    ServerError::Ended { status: status.to_owned(), log: place.log(), tail: log_tail(place) }
}

fn not_ready(place: &Place) -> ServerError {
    ServerError::NotReady { waited: START_PATIENCE, log: place.log(), tail: log_tail(place) }
}

fn log_tail(place: &Place) -> String {
    fs::read(place.log()).map_or_else(|error| format!("(cannot be read: {error})"), |log| tail(&log))
}

/// The last lines of a text, indented.
fn tail(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(TAIL)..];
    last.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
