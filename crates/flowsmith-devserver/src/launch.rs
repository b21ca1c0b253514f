//! Starting and stopping: the data folder is made when there is none, a server that runs already is joined.

use std::fs::{self, DirBuilder, File};
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

/// How long a start may take: recovery after a crash is part of it.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// How long what a crashed server left (its backends, its memory) may stand in the way of the next one.
const LEFTOVER_PATIENCE: Duration = Duration::from_secs(10);

/// How many lines of a log an error quotes.
const TAIL: usize = 15;

/// What a crash of the machine may do to the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Nothing: PostgreSQL's own defaults.
    Durable,
    /// Anything. For tests: nothing is synced to disk.
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
            Self::Disposable => &["-F", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"],
        }
    }
}

/// Until when a server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Until the process that started it ends, however that ends.
    Owner,
    /// Until [`Server::stop_running`].
    Detached,
}

/// A running server. Whoever started it for [`Lifetime::Owner`] stops it by dropping this; otherwise it runs on.
#[derive(Debug)]
pub struct Server {
    pub(super) socket_dir: PathBuf,
    pub(super) place: Place,
    account: Account,
    /// Nothing where another process started it, or it is to run on.
    process: Option<Process>,
    started_here: bool,
}

impl Server {
    /// Starts a server on a folder, which is made when it is not there, or joins the one that runs on it already.
    ///
    /// As root, where the server's user cannot enter the folder (a project under `/root`), the data goes to
    /// `/var/lib/flowsmith` and the folder gets a pointer to it; see [`Server::moved`]. Blocks for up to 60 seconds, where a
    /// crashed server has much to recover.
    ///
    /// # Errors
    /// [`ServerError::WrongOwner`] and [`ServerError::OtherMajor`] where the data there is not for this user or these
    /// binaries; [`ServerError::Initdb`], [`ServerError::Ended`] and [`ServerError::NotReady`], with the end of
    /// the log, where PostgreSQL fails; [`ServerError::Locked`] where another process hangs in the same call.
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

    /// The major version that made the data in a folder, if there is data and it can be read. For
    /// [`super::Settings::major`], before [`super::provide`].
    pub fn data_major(folder: &Path) -> Option<u32> {
        Place::at(folder.into()).made_by().ok()?.parse().ok()
    }

    /// The folder that holds the data, the log and the lock.
    pub fn folder(&self) -> &Path {
        &self.place.folder
    }

    /// Whether [`Server::folder`] is another one than was asked for, because the server's user could not enter that.
    pub fn moved(&self) -> bool {
        self.place.moved
    }

    /// Whether this process started the server.
    pub fn started_here(&self) -> bool {
        self.started_here
    }

    /// Stops the server that runs on a folder, whoever started it; false where none does.
    ///
    /// # Errors
    /// [`ServerError::Killed`] where it did not stop within 30 seconds.
    pub fn stop_running(folder: &Path) -> Result<bool, ServerError> {
        let place = Place::at(folder.into());
        let Some(running) = Postmaster::read(&place.data()).filter(Postmaster::listens) else { return Ok(false) };
        process::stop_other(running.pid)?;
        place.delete_socket_dir(&Account::for_server()?)?;
        Ok(true)
    }

    /// Stops the server in order, if this process started it. Dropping does the same and says nothing.
    ///
    /// # Errors
    /// [`ServerError::Killed`] where it did not stop within 30 seconds.
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
        // A caller who wants to know calls `stop`.
        let _ = self.halt();
    }
}

/// Makes the data folder under another name and renames it, so that a killed `initdb` leaves nothing that looks whole.
fn make_data(place: &Place, binaries: &Binaries, durability: Durability, account: &Account) -> Result<(), ServerError> {
    let new = place.folder.join("data.new");
    if new.exists() {
        fs::remove_dir_all(&new).map_err(ServerError::io("delete", &new))?;
    }
    DirBuilder::new().mode(0o700).create(&new).map_err(ServerError::io("make", &new))?;
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
        let said = [output.stdout, output.stderr].concat();
        return Err(ServerError::Initdb { folder: place.folder.clone(), output: tail(&said) });
    }
    fs::rename(&new, place.data()).map_err(ServerError::io("rename", new))
}

/// The server that runs on the folder already. One that is still stopping is waited for.
fn running(place: &Place) -> Result<Option<Postmaster>, ServerError> {
    process::poll(START_PATIENCE, || match Postmaster::read(&place.data()).filter(Postmaster::listens) {
        None => Some(None),
        Some(server) if server.is_ready() => Some(Some(server)),
        Some(_) => None,
    })
    .ok_or_else(|| not_ready(place))
}

/// Starts the server and waits until it is ready. One that was killed a moment ago may leave processes which hold on to
/// its memory until they notice, so a start beside a leftover is tried again for a while.
fn launch(
    place: &Place,
    socket_dir: &Path,
    binaries: &Binaries,
    (durability, lifetime): (Durability, Lifetime),
    account: &Account,
) -> Result<Process, ServerError> {
    let leftover = place.data().join("postmaster.pid").exists();
    let patience = if leftover { LEFTOVER_PATIENCE } else { Duration::ZERO };
    let mut last = None;
    process::poll(patience, || match launch_once(place, socket_dir, binaries, (durability, lifetime), account) {
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

/// The last lines of an output, indented.
fn tail(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = &lines[lines.len().saturating_sub(TAIL)..];
    last.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
