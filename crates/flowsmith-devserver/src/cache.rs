//! The per-user cache, with one folder per server. Each folder is put in place by a single rename, so that concurrent processes do
//! not collide and a killed one leaves no partial entry.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::account::Account;
use super::find::{self, Binaries, Origin};
use super::{ServerError, process};

/// Root's cache if the server's user cannot access root's own.
const SYSTEM_CACHE: &str = "/var/cache/flowsmith";

/// The path of the cache: `$XDG_CACHE_HOME/flowsmith`, otherwise `~/.cache/flowsmith`; for root, `/var/cache/flowsmith` if the
/// server's user cannot access that folder. The folder is created on first use.
pub(super) fn folder(account: &Account) -> Result<PathBuf, ServerError> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let Some(base) = base else { return Ok(SYSTEM_CACHE.into()) };
    let existing = base.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    Ok(if account.can_enter(existing)? { base.join("flowsmith") } else { SYSTEM_CACHE.into() })
}

/// A folder in which an entry of the cache is prepared; deleted on drop.
pub(super) struct Staging {
    folder: PathBuf,
    cache: PathBuf,
}

impl Staging {
    /// Deletes the staging folders of killed processes and creates a new one.
    pub(super) fn new(cache: &Path) -> Result<Self, ServerError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        fs::create_dir_all(cache).map_err(ServerError::io("create", cache))?;
        sweep(cache)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = cache.join(format!("staging-{}-{number}", std::process::id()));
        fs::create_dir(&folder).map_err(ServerError::io("create", &folder))?;
        Ok(Self { folder, cache: cache.into() })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The target folder for unpacking.
    pub(super) fn tree(&self) -> PathBuf {
        self.folder.join("tree")
    }

    /// Checks that the server runs on this machine, and moves the tree into the cache as `name`. If another process was faster, its
    /// tree is used.
    pub(super) fn keep(self, name: &str, origin: Origin, account: &Account) -> Result<Binaries, ServerError> {
        find::in_tree(&self.tree(), origin, account)?;
        let entry = self.cache.join(name);
        match fs::rename(self.tree(), &entry) {
            Err(error) if !entry.is_dir() => Err(ServerError::io("create", &entry)(error)),
            _ => find::in_tree(&entry, origin, account),
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // A folder that cannot be deleted is swept by the next call.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn sweep(cache: &Path) -> Result<(), ServerError> {
    for entry in fs::read_dir(cache).map_err(ServerError::io("read", cache))?.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix("staging-")?.split('-').next()?.parse().ok());
        if owner.is_some_and(|pid| !process::is_alive(pid)) {
            // A folder of another user cannot be deleted and does no harm.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sweeps_what_dead_processes_left_and_nothing_else() {
        let cache = tempfile::tempdir().unwrap();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let dead = cache.path().join(format!("staging-{}-0", child.id()));
        let entry = cache.path().join("postgres-18");
        for folder in [&dead, &entry] {
            fs::create_dir(folder).unwrap();
        }
        let alive = Staging::new(cache.path()).unwrap();
        Staging::new(cache.path()).unwrap();
        assert!(!dead.exists() && entry.exists() && alive.folder().exists());
    }

    #[test]
    fn a_tree_that_does_not_run_is_not_kept() {
        let cache = tempfile::tempdir().unwrap();
        let staging = Staging::new(cache.path()).unwrap();
        fs::create_dir_all(staging.tree().join("package/native/bin")).unwrap();
        let account = Account::for_server().unwrap();
        let error = staging.keep("postgres-18", Origin::Fetched, &account).unwrap_err();
        assert!(matches!(error, ServerError::Unusable { .. }), "{error}");
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
    }
}
