//! The server inside this program (feature `bundled-postgres`), unpacked into the per-user cache on first use.
//!
//! `packaging/bundle-postgres.sh` creates the archive, which is not committed; `build.rs` finds it. PostgreSQL 18.6 for Linux x86_64
//! adds 4.2 MiB to the program and takes 14.7 MiB unpacked. Unpacking takes 0.9 s in a debug build.

use std::path::Path;

use super::ServerError;
use super::account::Account;
use super::cache::Staging;
use super::find::{Binaries, Origin};
use crate::hash::sha256_hex;

/// The major version of the bundled server.
pub(super) const MAJOR: u32 = super::fetch::MAJOR;

static ARCHIVE: &[u8] = include_bytes!(env!("FLOWSMITH_BUNDLE"));

/// Unpacks the server into the cache, under a name that depends on its content.
pub(super) fn unpack(cache: &Path, account: &Account, progress: &dyn Fn(&str)) -> Result<Binaries, ServerError> {
    progress("unpacking the PostgreSQL server");
    let staging = Staging::new(cache)?;
    let tree = staging.tree();
    let zstd = ruzstd::decoding::StreamingDecoder::new(ARCHIVE)
        .map_err(|error| ServerError::io("unpack to", &tree)(std::io::Error::other(error)))?;
    tar::Archive::new(zstd).unpack(&tree).map_err(ServerError::io("unpack to", &tree))?;
    staging.keep(&format!("postgres-{MAJOR}-{}", &sha256_hex(ARCHIVE)[..16]), Origin::Bundled, account)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_server_inside_runs_and_is_unpacked_once() {
        let cache = tempfile::tempdir().unwrap();
        std::fs::set_permissions(cache.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let account = Account::for_server().unwrap();
        let first = unpack(cache.path(), &account, &|_| {}).unwrap();
        let second = unpack(cache.path(), &account, &|_| {}).unwrap();
        assert_eq!(first, second);
        assert_eq!(first.version.major, MAJOR);
    }
}
