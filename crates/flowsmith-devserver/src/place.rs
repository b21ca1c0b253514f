//! The folder of a server. It contains:
//!
//! ```text
//! data/        the cluster; owned by the user of the server
//! server.log   the log since the last start
//! lock         locked while a server is created or started
//! socket       the path of the socket folder
//! ```
//!
//! What these files say is believed, so that nobody else may write to the folder.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ServerError;
use super::account::Account;
use super::connect::PORT_TEXT;
use super::find::Version;
use super::postmaster::Postmaster;
use super::process;
use super::state::SYSTEM_STATE;
use crate::hash::sha256_hex;

/// Longer than a start can take.
const LOCK_PATIENCE: Duration = Duration::from_secs(120);

/// The longest path of the parent of a socket folder. Systems limit the path of a socket to 104 to 108 bytes.
const SOCKET_BASE_LIMIT: usize = 60;

/// The folder of a server.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// The absolute path.
    pub(super) folder: PathBuf,
    /// Whether this is another folder than the requested one.
    pub(super) moved: bool,
}

impl Place {
    /// Creates the folder. If the server's user cannot access it, creates another one, whose name depends on its path. Existing data
    /// is never abandoned for an empty folder.
    pub(super) fn settle(asked: &Path, account: &Account) -> Result<Self, ServerError> {
        // Not writable for the group, whatever the umask.
        let mode = if account.switches { 0o711 } else { 0o700 };
        let made = DirBuilder::new().recursive(true).mode(mode).create(asked);
        made.map_err(ServerError::io("create", asked))?;
        trusted(asked, account)?;
        let place = Self::at(asked.canonicalize().map_err(ServerError::io("resolve", asked))?);
        if place.moved || place.has_data() || account.can_enter(&place.folder)? {
            trusted(&place.folder, account)?;
            return Ok(place);
        }
        let folder = in_system_state(&place.folder);
        fs::create_dir_all(&folder).map_err(ServerError::io("create", &folder))?;
        for open in [Path::new(SYSTEM_STATE), &folder] {
            fs::set_permissions(open, Permissions::from_mode(0o755))
                .map_err(ServerError::io("set the permissions of", open))?;
        }
        trusted(&folder, account)?;
        Ok(Self { folder, moved: true })
    }

    /// The folder, or the one that was created in its place.
    pub(super) fn at(asked: PathBuf) -> Self {
        let asked = asked.canonicalize().unwrap_or(asked);
        let elsewhere = in_system_state(&asked);
        if !asked.join("data").exists() && rustix::process::geteuid().is_root() && elsewhere.is_dir() {
            return Self { folder: elsewhere, moved: true };
        }
        Self { folder: asked, moved: false }
    }

    /// Returns an error if anyone but this user, the user of the server and root can write to the folder.
    pub(super) fn check_trust(&self, account: &Account) -> Result<(), ServerError> {
        trusted(&self.folder, account)
    }

    pub(super) fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(super) fn log(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    pub(super) fn has_data(&self) -> bool {
        self.data().exists()
    }

    /// The major version that created the data, from `PG_VERSION`.
    pub(super) fn made_by(&self) -> io::Result<String> {
        Ok(fs::read_to_string(self.data().join("PG_VERSION"))?.trim().to_owned())
    }

    /// Returns an error if another user owns the data.
    pub(super) fn check_owner(&self, account: &Account) -> Result<(), ServerError> {
        let data = self.data();
        let found = fs::symlink_metadata(&data).map_err(ServerError::io("read the owner of", &data))?;
        if !found.is_dir() {
            return Err(ServerError::Untrusted { folder: data, problem: "is not a folder".into() });
        }
        let owner = found.uid();
        if owner == account.uid {
            return Ok(());
        }
        Err(ServerError::WrongOwner { folder: data, owner, account: account.name.clone(), uid: account.uid })
    }

    /// Returns an error if another major version created the data.
    pub(super) fn check_version(&self, found: Version) -> Result<(), ServerError> {
        let made_by = self.made_by().map_err(ServerError::io("read the version of", self.data()))?;
        if made_by == found.major.to_string() {
            return Ok(());
        }
        Err(ServerError::OtherMajor { folder: self.data(), made_by, found })
    }

    /// Prevents other processes from creating or starting a server here until the returned file is dropped or this process ends.
    pub(super) fn lock(&self) -> Result<File, ServerError> {
        let path = self.folder.join("lock");
        let file = File::create(&path).map_err(ServerError::io("open", &path))?;
        match process::poll(LOCK_PATIENCE, || match file.try_lock() {
            Ok(()) => Some(Ok(())),
            Err(fs::TryLockError::WouldBlock) => None,
            Err(fs::TryLockError::Error(error)) => Some(Err(error)),
        }) {
            Some(Ok(())) => Ok(file),
            Some(Err(error)) => Err(ServerError::io("lock", path)(error)),
            None => Err(ServerError::Locked { lock: path, waited: LOCK_PATIENCE }),
        }
    }

    /// Creates a socket folder with a short path that only the server's user can access. The path is recorded before the folder is
    /// created, so that a later start finds and deletes the folder of a killed process.
    pub(super) fn make_socket_dir(&self, account: &Account) -> Result<PathBuf, ServerError> {
        self.delete_socket_dir(account)?;
        let base = runtime_dir(account);
        for attempt in 0..1000 {
            let dir = base.join(format!("flowsmith-{}-{attempt}", std::process::id()));
            if dir.exists() {
                continue;
            }
            let note = self.socket_note();
            fs::write(&note, dir.as_os_str().as_encoded_bytes()).map_err(ServerError::io("write", note))?;
            match DirBuilder::new().mode(0o700).create(&dir) {
                Ok(()) => return account.own(&dir).map(|()| dir),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(ServerError::io("create", dir)(error)),
            }
        }
        Err(ServerError::io("create a folder in", base)(io::ErrorKind::AlreadyExists.into()))
    }

    /// Deletes the recorded socket folder, if it exists and flowsmith created it.
    pub(super) fn delete_socket_dir(&self, account: &Account) -> Result<(), ServerError> {
        let note = self.socket_note();
        let dir = match fs::read_to_string(&note) {
            Ok(dir) => PathBuf::from(dir),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(ServerError::io("read", note)(error)),
        };
        let ours = fs::symlink_metadata(&dir).is_ok_and(|found| found.is_dir() && found.uid() == account.uid);
        if ours && is_socket_dir_name(&dir) {
            // Only what a server writes there: a folder with other files stays.
            for file in [format!(".s.PGSQL.{PORT_TEXT}"), format!(".s.PGSQL.{PORT_TEXT}.lock")] {
                match fs::remove_file(dir.join(&file)) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(ServerError::io("delete", dir.join(file))(error));
                    }
                    _ => {}
                }
            }
            match fs::remove_dir(&dir) {
                Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => {
                    return Err(ServerError::io("delete", dir)(error));
                }
                _ => {}
            }
        }
        fs::remove_file(&note).map_err(ServerError::io("delete", note))
    }

    /// The socket folder of the running server, if any.
    pub(super) fn socket_dir(&self) -> Option<PathBuf> {
        Postmaster::read(&self.data()).map(|server| server.socket_dir)
    }

    fn socket_note(&self) -> PathBuf {
        self.folder.join("socket")
    }
}

/// Whether a folder has a name that [`Place::make_socket_dir`] gives.
fn is_socket_dir_name(dir: &Path) -> bool {
    let name = dir.file_name().and_then(|name| name.to_str()?.strip_prefix("flowsmith-"));
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name.and_then(|name| name.split_once('-'))
        .is_some_and(|(process, attempt)| is_number(process) && is_number(attempt))
}

/// The place of a folder that the server's user cannot access.
fn in_system_state(folder: &Path) -> PathBuf {
    Path::new(SYSTEM_STATE).join(&sha256_hex(folder.as_os_str().as_encoded_bytes())[..16])
}

/// Returns an error unless this is a folder, and no link, that belongs to this user, the user of the server or root, and that no
/// other user can write to.
fn trusted(folder: &Path, account: &Account) -> Result<(), ServerError> {
    let untrusted = |problem: String| ServerError::Untrusted { folder: folder.into(), problem };
    let found = fs::symlink_metadata(folder).map_err(ServerError::io("read the owner of", folder))?;
    if !found.is_dir() {
        return Err(untrusted("is a link, or not a folder".into()));
    }
    if ![rustix::process::geteuid().as_raw(), account.uid, 0].contains(&found.uid()) {
        return Err(untrusted(format!("belongs to user id {}", found.uid())));
    }
    if found.mode() & 0o022 != 0 {
        return Err(untrusted(format!("can be written to by other users (mode {:o})", found.mode() & 0o7777)));
    }
    Ok(())
}

/// The user's runtime folder if its path is short and needs no quoting in a URL, otherwise `/tmp`.
fn runtime_dir(account: &Account) -> PathBuf {
    let plain = |c: u8| c.is_ascii_alphanumeric() || b"/._-".contains(&c);
    std::env::var_os("XDG_RUNTIME_DIR")
        .filter(|dir| dir.len() <= SOCKET_BASE_LIMIT && dir.as_encoded_bytes().iter().copied().all(plain))
        .map(PathBuf::from)
        .filter(|dir| dir.is_absolute())
        .filter(|dir| fs::metadata(dir).is_ok_and(|found| found.is_dir() && found.uid() == account.uid))
        .unwrap_or_else(|| "/tmp".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Place) {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::at(folder.path().into());
        (folder, place)
    }

    #[test]
    fn folders_that_others_can_write_to_are_refused() {
        let account = Account::for_server().unwrap();
        let (folder, place) = place();
        place.check_trust(&account).unwrap();
        for mode in [0o777, 0o775, 0o1757] {
            fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            assert!(matches!(Place::settle(folder.path(), &account), Err(ServerError::Untrusted { .. })), "{mode:o}");
        }
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path(), &link).unwrap();
        assert!(matches!(Place::settle(&link, &account), Err(ServerError::Untrusted { .. })));
        assert!(Place::settle(folder.path(), &account).is_ok());
    }

    #[test]
    fn a_noted_socket_folder_is_deleted_and_anything_else_is_not() {
        let account = Account::for_server().unwrap();
        let (folder, place) = place();
        let dir = place.make_socket_dir(&account).unwrap();
        assert_eq!(fs::metadata(&dir).unwrap().mode() & 0o777, 0o700);
        place.delete_socket_dir(&account).unwrap();
        assert!(!dir.exists());

        for name in ["precious", "flowsmith-precious", "flowsmith-1-1"] {
            let other = folder.path().join(name);
            fs::create_dir(&other).unwrap();
            fs::write(other.join("precious"), "").unwrap();
            account.own(&other).unwrap();
            fs::write(place.socket_note(), other.to_str().unwrap()).unwrap();
            place.delete_socket_dir(&account).unwrap();
            assert!(other.join("precious").exists(), "{name}");
        }
    }
}
