//! The per-user cache: one folder a server, each put in place by a single rename, so that two at once do not collide
//! and a killed one leaves nothing half made under a name that is looked at.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::account::Account;
use super::find::{self, Binaries, Origin};
use super::{ServerError, process};

/// Root's cache where the server's user cannot enter root's own.
const SYSTEM_CACHE: &str = "/var/cache/flowsmith";

/// The cache: `$XDG_CACHE_HOME/flowsmith`, else `~/.cache/flowsmith`; as root, where the server's user could not get
/// there, `/var/cache/flowsmith`. Not made before something is put in.
pub(super) fn folder(account: &Account) -> Result<PathBuf, ServerError> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let Some(base) = base else { return Ok(SYSTEM_CACHE.into()) };
    let existing = base.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    Ok(if account.can_enter(existing)? { base.join("flowsmith") } else { SYSTEM_CACHE.into() })
}

/// A folder in the cache to build an entry in, deleted when dropped.
pub(super) struct Staging {
    folder: PathBuf,
    cache: PathBuf,
}

impl Staging {
    /// Makes the folder, after deleting those that killed processes left.
    pub(super) fn new(cache: &Path) -> Result<Self, ServerError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        fs::create_dir_all(cache).map_err(ServerError::io("make", cache))?;
        sweep(cache)?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = cache.join(format!("staging-{}-{number}", std::process::id()));
        fs::create_dir(&folder).map_err(ServerError::io("make", &folder))?;
        Ok(Self { folder, cache: cache.into() })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where to unpack to.
    pub(super) fn tree(&self) -> PathBuf {
        self.folder.join("tree")
    }

    /// Puts the tree into the cache as `name` once its server has proved to run here. Where another process was
    /// faster, its tree is used.
    pub(super) fn keep(self, name: &str, origin: Origin, account: &Account) -> Result<Binaries, ServerError> {
        find::in_tree(&self.tree(), origin, account)?;
        let entry = self.cache.join(name);
        match fs::rename(self.tree(), &entry) {
            Err(error) if !entry.is_dir() => Err(ServerError::io("make", &entry)(error)),
            _ => find::in_tree(&entry, origin, account),
        }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // What cannot be deleted now is swept by the next one.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn sweep(cache: &Path) -> Result<(), ServerError> {
    for entry in fs::read_dir(cache).map_err(ServerError::io("read", cache))?.flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix("staging-")?.split('-').next()?.parse().ok());
        if owner.is_some_and(|pid| !process::is_alive(pid)) {
            // What cannot be deleted now, as another user's, is in nobody's way.
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
