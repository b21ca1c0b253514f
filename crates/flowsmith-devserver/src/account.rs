//! The user that the server runs as: the current user, or an unprivileged one if that is root, because PostgreSQL refuses to run as
//! root.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use rustix::fs::{Gid, Uid};

use super::ServerError;

/// The user that the programs of the server run as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) name: String,
    pub(super) uid: u32,
    gid: u32,
    /// Whether this process is root, so that the programs must switch users.
    pub(super) switches: bool,
}

impl Account {
    /// The current user; for root `postgres`, otherwise `nobody`.
    pub(super) fn for_server() -> Result<Self, ServerError> {
        let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
        if !uid.is_root() {
            return Ok(Self { name: "the current user".into(), uid: uid.as_raw(), gid: gid.as_raw(), switches: false });
        }
        let passwd = std::fs::read_to_string("/etc/passwd").map_err(ServerError::io("read", "/etc/passwd"))?;
        ["postgres", "nobody"].iter().find_map(|name| in_passwd(&passwd, name)).ok_or(ServerError::NoAccount)
    }

    /// A command that runs as this user in `/` (so paths must be absolute), without the PostgreSQL variables of the environment
    /// (`PGPORT`, `PGDATA`, …), and with messages in English.
    pub(super) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir("/").env("LC_ALL", "C");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"PG")) {
            command.env_remove(name);
        }
        if self.switches {
            // The standard library drops root's supplementary groups together with the user id.
            command.uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Makes this user the owner of a file or folder.
    pub(super) fn own(&self, path: &Path) -> Result<(), ServerError> {
        if !self.switches {
            return Ok(());
        }
        rustix::fs::chown(path, Some(Uid::from_raw(self.uid)), Some(Gid::from_raw(self.gid)))
            .map_err(|error| ServerError::io("change the owner of", path)(error.into()))
    }

    /// Whether the user may search `folder` and every folder above it.
    pub(super) fn can_enter(&self, folder: &Path) -> Result<bool, ServerError> {
        if !self.switches {
            return Ok(true);
        }
        for step in folder.ancestors() {
            let metadata = std::fs::metadata(step).map_err(ServerError::io("read the permissions of", step))?;
            if !self.may_search(&metadata) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Only checks the file mode: access control lists are rare on project folders.
    fn may_search(&self, folder: &Metadata) -> bool {
        let bit = if folder.uid() == self.uid {
            0o100
        } else if folder.gid() == self.gid {
            0o010
        } else {
            0o001
        };
        folder.mode() & bit != 0
    }
}

/// Parses `name:password:uid:gid:…`. The ids of `nobody` are negative on macOS.
fn in_passwd(passwd: &str, name: &str) -> Option<Account> {
    let fields: Vec<&str> = passwd.lines().map(|line| line.split(':').collect()).find(|f: &Vec<&str>| f[0] == name)?;
    let id = |field: usize| Some(fields.get(field)?.parse::<i64>().ok()? as u32);
    Some(Account { name: name.into(), uid: id(2)?, gid: id(3)?, switches: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\n# a comment\nnobody:*:-2:-2::/var/empty:/bin/false\n\
                          postgres:x:101:104:PostgreSQL:/var/lib/postgresql:/bin/bash\n";

    #[test]
    fn reads_ids_from_passwd() {
        let postgres = in_passwd(PASSWD, "postgres").unwrap();
        assert_eq!((postgres.uid, postgres.gid), (101, 104));
        assert_eq!(in_passwd(PASSWD, "nobody").unwrap().uid, u32::MAX - 1);
        assert_eq!(in_passwd(PASSWD, "mallory"), None);
    }

    #[test]
    fn a_folder_closed_to_others_cannot_be_entered_from_outside() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let stranger = Account { name: "stranger".into(), uid: 4_000_001, gid: 4_000_001, switches: true };
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(stranger.can_enter(folder.path()).unwrap());
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        assert!(!stranger.can_enter(folder.path()).unwrap());
    }
}
