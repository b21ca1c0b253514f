//! The files of a project, and nothing outside of it.
//!
//! The author of a repository chooses every file in it, and a link, a pipe or a device costs them nothing. Each file is
//! therefore opened component by component below the root, without following links. A link is resolved first, and followed only
//! if it ends inside the root; the resolved path is then opened the same way, so that nothing can be exchanged between the check
//! and the read. Hard links cannot be told from other files: whoever makes one could also read the file.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RawMode};
use rustix::io::Errno;

use crate::diagnostic::{Code, Diagnostic, Kind};

/// The maximum size of the settings file, in bytes.
pub const MAX_SETTINGS_BYTES: u64 = 1024 * 1024;
/// The maximum size of a flow file, in bytes.
pub const MAX_FLOW_FILE_BYTES: u64 = 8 * 1024 * 1024;
/// The maximum size of a migration, in bytes. The first migration of 10,000 flows takes about a tenth.
pub const MAX_MIGRATION_BYTES: u64 = 256 * 1024 * 1024;
/// The maximum size of the sum file, in bytes: more than 100,000 migrations.
pub const MAX_SUM_BYTES: u64 = 16 * 1024 * 1024;

/// A folder whose files are read and written, and nothing outside of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    folder: PathBuf,
}

/// An entry of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name in the folder.
    pub name: OsString,
    /// The type. For a link, that of the file that it leads to.
    pub kind: EntryKind,
}

/// The type of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A link, to anything and to nothing.
    Link,
    /// A pipe, a socket or a device.
    Other,
}

/// The reason why a file of a project cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The path or a link on it leads out of the project.
    #[error("{} leads out of the project", path.display())]
    Outside {
        /// The path as it was given.
        path: PathBuf,
    },
    /// A link that leads nowhere.
    #[error("{} is a link to a file that does not exist", path.display())]
    BrokenLink {
        /// The path of the link.
        path: PathBuf,
    },
    /// A folder, a pipe, a socket or a device.
    #[error("{} is {kind}, not a regular file", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
        /// The type, with its article.
        kind: &'static str,
    },
    /// An existing link in the place of a file to write.
    #[error("{} is a link, which is not overwritten", path.display())]
    LinkInPlace {
        /// The path of the link.
        path: PathBuf,
    },
    /// The file is larger than files of its kind may be.
    #[error("{} has {} MiB, more than the limit of {} MiB", path.display(), mebibytes(*bytes), mebibytes(*limit))]
    TooLarge {
        /// The path.
        path: PathBuf,
        /// The size in bytes.
        bytes: u64,
        /// The maximum size in bytes.
        limit: u64,
    },
    /// The file is not text.
    #[error("{} is not valid UTF-8: byte 0x{byte:02x} at offset {offset}", path.display())]
    NotUtf8 {
        /// The path.
        path: PathBuf,
        /// The offset of the first invalid byte.
        offset: usize,
        /// The first invalid byte.
        byte: u8,
    },
    /// The operating system refused.
    #[error("cannot {verb} {}: {source}", path.display())]
    Io {
        /// The operation, as an infinitive.
        verb: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}

fn mebibytes(bytes: u64) -> u64 {
    bytes.div_ceil(1024 * 1024)
}

impl FileError {
    /// Whether there is no file of this name. A link that leads nowhere is a file.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }

    fn io(verb: &'static str, path: &Path, error: impl Into<io::Error>) -> Self {
        Self::Io { verb, path: path.to_owned(), source: error.into() }
    }
}

impl Diagnostic for FileError {
    fn code(&self) -> Code {
        match self {
            Self::Outside { .. } => Code::LeadsOutside,
            Self::NotRegular { .. } | Self::LinkInPlace { .. } => Code::NotARegularFile,
            Self::TooLarge { .. } => Code::FileTooLarge,
            Self::BrokenLink { .. } | Self::NotUtf8 { .. } | Self::Io { .. } => Code::Io,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Outside { .. } | Self::NotRegular { .. } | Self::LinkInPlace { .. } | Self::TooLarge { .. } => {
                Kind::Refused
            }
            Self::BrokenLink { .. } | Self::NotUtf8 { .. } | Self::Io { .. } => Kind::Failed,
        }
    }

    fn help(&self) -> Option<String> {
        let help = match self {
            Self::Outside { .. } => {
                "replace the link with a copy of the file, or name the folder with an option of the command line"
            }
            Self::BrokenLink { .. } => "correct the link, or replace it with a file",
            Self::NotRegular { .. } => "rename it, or move it out of the project",
            Self::LinkInPlace { .. } => "replace the link with a file, or choose another name",
            Self::TooLarge { .. } => "check that this is the intended file",
            Self::NotUtf8 { .. } => "save the file as UTF-8",
            Self::Io { .. } => "check the path and its permissions",
        };
        Some(help.to_owned())
    }
}

/// Whether a path stays inside the folder that it is relative to, links aside.
pub fn is_below(path: &Path) -> bool {
    path.components().all(|component| matches!(component, Component::Normal(_) | Component::CurDir))
}

impl Root {
    /// A root that its user trusts: the working directory, or a folder that the command line names.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// The root of a folder and its name in the root. A folder below the working directory belongs to the project there. Settings
    /// cannot name any other folder, so that one was named on the command line and is a root of its own.
    pub fn of_folder(folder: &Path) -> (Self, PathBuf) {
        if is_below(folder) { (Self::new("."), folder.to_owned()) } else { (Self::new(folder), PathBuf::from(".")) }
    }

    /// The root of a file and its name in the root, as for its folder.
    pub fn of_file(file: &Path) -> (Self, PathBuf) {
        match (is_below(file), file.parent(), file.file_name()) {
            (false, Some(folder), Some(name)) => (Self::new(folder), name.into()),
            _ => (Self::new("."), file.to_owned()),
        }
    }

    /// The path of a file.
    pub fn path(&self, name: &Path) -> PathBuf {
        if self.folder == Path::new(".") { name.to_owned() } else { self.folder.join(name) }
    }

    /// Reads a regular file of at most `limit` bytes.
    ///
    /// # Errors
    /// Any [`FileError`] except [`FileError::NotUtf8`].
    pub fn read(&self, name: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
        let path = self.path(name);
        let too_large = |bytes| FileError::TooLarge { path: path.clone(), bytes, limit };
        let file = self.open(name)?;
        let size = file.metadata().map_err(|error| FileError::io("read", &path, error))?.len();
        if size > limit {
            return Err(too_large(size));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        // The file may have grown since its size was read.
        file.take(limit + 1).read_to_end(&mut bytes).map_err(|error| FileError::io("read", &path, error))?;
        if bytes.len() as u64 > limit { Err(too_large(bytes.len() as u64)) } else { Ok(bytes) }
    }

    /// Reads a regular file as UTF-8.
    ///
    /// # Errors
    /// Any [`FileError`].
    pub fn read_text(&self, name: &Path, limit: u64) -> Result<String, FileError> {
        String::from_utf8(self.read(name, limit)?).map_err(|error| {
            let offset = error.utf8_error().valid_up_to();
            let byte = error.as_bytes().get(offset).copied().unwrap_or_default();
            FileError::NotUtf8 { path: self.path(name), offset, byte }
        })
    }

    /// The entries of a folder, in no order.
    ///
    /// # Errors
    /// If the folder leads out of the project or cannot be read.
    pub fn list(&self, folder: &Path) -> Result<Vec<Entry>, FileError> {
        let unreadable = |error: Errno| FileError::io("read", &self.path(folder), error);
        let opened = self.open_folder(folder)?;
        // The descriptor that `open_folder` returns may be good for paths only.
        let readable =
            rustix::fs::openat(&opened, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        let mut entries = Vec::new();
        for entry in Dir::new(readable.map_err(unreadable)?).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") {
                continue;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => kind_of(&opened, Path::new(&os(name.to_bytes()))).map_err(unreadable)?,
                known => known,
            };
            let kind = match kind {
                FileType::RegularFile => EntryKind::File,
                FileType::Directory => EntryKind::Folder,
                FileType::Symlink => EntryKind::Link,
                _ => EntryKind::Other,
            };
            entries.push(Entry { name: os(name.to_bytes()), kind });
        }
        Ok(entries)
    }

    /// Whether a link leads to a folder of the project.
    ///
    /// # Errors
    /// If it leads out of the project or nowhere.
    pub fn leads_to_folder(&self, link: &Path) -> Result<bool, FileError> {
        Ok(self.folder.join(self.resolved(link)?).is_dir())
    }

    /// The path that a link leads to, relative to the resolved root.
    fn resolved(&self, name: &Path) -> Result<PathBuf, FileError> {
        let path = self.path(name);
        let root = self.folder.canonicalize().map_err(|error| FileError::io("resolve", &self.folder, error))?;
        let real = self.folder.join(name).canonicalize().map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => FileError::BrokenLink { path: path.clone() },
            _ => FileError::io("resolve", &path, error),
        })?;
        real.strip_prefix(root).map(Path::to_owned).map_err(|_| FileError::Outside { path })
    }

    /// Opens a regular file for reading.
    fn open(&self, name: &Path) -> Result<File, FileError> {
        let direct = if is_below(name) { self.open_unlinked(name)? } else { None };
        if let Some(file) = direct {
            return Ok(file);
        }
        let real = self.resolved(name)?;
        let opened = self.open_unlinked(&real)?;
        // A link that was not there a moment ago.
        opened.ok_or_else(|| FileError::Outside { path: self.path(name) })
    }

    /// Opens a regular file. `None` if there is a link on the path.
    fn open_unlinked(&self, name: &Path) -> Result<Option<File>, FileError> {
        let path = self.path(name);
        let not_regular = |kind| FileError::NotRegular { path: path.clone(), kind: described(kind) };
        let unreadable = |error: Errno| FileError::io("read", &path, error);
        let (Some(parent), Some(last)) = (name.parent(), name.file_name()) else {
            return Err(not_regular(FileType::Directory));
        };
        let Some(folder) = self.walk(parent, &path)? else { return Ok(None) };
        // Opening a device can have effects, so the type is checked before the file is opened, and again after it.
        match kind_of(&folder, Path::new(last)).map_err(unreadable)? {
            FileType::RegularFile => {}
            FileType::Symlink => return Ok(None),
            kind => return Err(not_regular(kind)),
        }
        // Opening a pipe blocks until it has a writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&folder, last, flags, Mode::empty()) {
            Err(Errno::LOOP) => return Ok(None),
            opened => opened.map_err(unreadable)?,
        };
        match FileType::from_raw_mode(rustix::fs::fstat(&file).map_err(unreadable)?.st_mode) {
            FileType::RegularFile => Ok(Some(file.into())),
            kind => Err(not_regular(kind)),
        }
    }

    /// Opens a folder of the project.
    fn open_folder(&self, name: &Path) -> Result<OwnedFd, FileError> {
        let path = self.path(name);
        let direct = if is_below(name) { self.walk(name, &path)? } else { None };
        if let Some(folder) = direct {
            return Ok(folder);
        }
        self.walk(&self.resolved(name)?, &path)?.ok_or_else(|| FileError::io("read", &path, Errno::NOTDIR))
    }

    /// Opens a folder component by component. `None` if one of them is a link, or not a folder.
    fn walk(&self, name: &Path, path: &Path) -> Result<Option<OwnedFd>, FileError> {
        let unreadable = |error: Errno| FileError::io("read", path, error);
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | search_only();
        let mut folder = rustix::fs::openat(CWD, &self.folder, flags, Mode::empty()).map_err(unreadable)?;
        for component in name.components().filter(|component| *component != Component::CurDir) {
            match rustix::fs::openat(&folder, component.as_os_str(), flags | OFlags::NOFOLLOW, Mode::empty()) {
                Err(Errno::LOOP | Errno::NOTDIR) => return Ok(None),
                next => folder = next.map_err(unreadable)?,
            }
        }
        Ok(Some(folder))
    }

    /// Creates a folder and its missing parents.
    ///
    /// # Errors
    /// If it would be outside of the project, or cannot be created.
    pub fn create_folder(&self, name: &Path) -> Result<(), FileError> {
        let mut made = PathBuf::new();
        for component in name.components().filter(|component| *component != Component::CurDir) {
            let parent = self.open_folder(&made)?;
            made.push(component);
            if !is_below(&made) {
                return Err(FileError::Outside { path: self.path(name) });
            }
            match rustix::fs::mkdirat(&parent, component.as_os_str(), Mode::from_raw_mode(0o777)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(FileError::io("create", &self.path(&made), error)),
            }
        }
        self.open_folder(name).map(drop)
    }

    /// Writes a file that does not exist yet. Returns whether it was written: an existing one, also a link, is left alone.
    ///
    /// # Errors
    /// If it would be outside of the project, or cannot be written.
    pub fn create(&self, name: &Path, content: &str, mode: RawMode) -> Result<bool, FileError> {
        let (folder, last) = self.place(name)?;
        match write_new(&folder, &last, content, mode) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(FileError::io("write", &self.path(name), error)),
        }
    }

    /// Writes a file, whatever file or link has its name. If this is interrupted, a part of the file may remain: for drafts.
    ///
    /// # Errors
    /// If it would be outside of the project, or cannot be written.
    pub fn write_draft(&self, name: &Path, content: &str) -> Result<(), FileError> {
        let (folder, last) = self.place(name)?;
        let unwritable = |error: io::Error| FileError::io("write", &self.path(name), error);
        match rustix::fs::unlinkat(&folder, &last, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => write_new(&folder, &last, content, 0o666).map_err(unwritable),
            Err(error) => Err(unwritable(error.into())),
        }
    }

    /// Writes a file in one step, so that it has its old or its new content even if this is interrupted. The permissions of an
    /// existing file are kept.
    ///
    /// # Errors
    /// If there is a link of this name, if it would be outside of the project, or if it cannot be written.
    pub fn write(&self, name: &Path, content: &str) -> Result<(), FileError> {
        let (folder, last) = self.place(name)?;
        let path = self.path(name);
        let unwritable = |error: io::Error| FileError::io("write", &path, error);
        let mode = match rustix::fs::statat(&folder, &last, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => 0o666,
            Err(error) => return Err(unwritable(error.into())),
            Ok(found) => match FileType::from_raw_mode(found.st_mode) {
                FileType::RegularFile => found.st_mode & 0o777,
                FileType::Symlink => return Err(FileError::LinkInPlace { path }),
                kind => return Err(FileError::NotRegular { path, kind: described(kind) }),
            },
        };
        let mut draft = OsString::from(".");
        draft.push(&last);
        draft.push(format!(".{}.tmp", std::process::id()));
        let written = rustix::fs::unlinkat(&folder, &draft, AtFlags::empty())
            .or_else(|error| if error == Errno::NOENT { Ok(()) } else { Err(error) })
            .map_err(io::Error::from)
            .and_then(|()| write_new(&folder, &draft, content, mode))
            .and_then(|()| Ok(rustix::fs::renameat(&folder, &draft, &folder, &last)?));
        if written.is_err() {
            // The first error is the one to report.
            let _ = rustix::fs::unlinkat(&folder, &draft, AtFlags::empty());
        }
        written.map_err(unwritable)
    }

    /// Renames a file within its folder.
    ///
    /// # Errors
    /// If the folder is outside of the project, or the file cannot be renamed.
    pub fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        let (folder, old) = self.place(from)?;
        let new = to.file_name().unwrap_or_default();
        rustix::fs::renameat(&folder, &old, &folder, new).map_err(|error| FileError::io("write", &self.path(to), error))
    }

    /// Removes a file or a link, if there is one.
    ///
    /// # Errors
    /// If the folder is outside of the project, or the file cannot be removed.
    pub fn remove(&self, name: &Path) -> Result<(), FileError> {
        let (folder, last) = self.place(name)?;
        match rustix::fs::unlinkat(&folder, &last, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(error) => Err(FileError::io("remove", &self.path(name), error)),
        }
    }

    /// The opened folder of a file to write, and the name of the file in it.
    fn place(&self, name: &Path) -> Result<(OwnedFd, OsString), FileError> {
        let Some(last) = name.file_name() else { return Err(FileError::Outside { path: self.path(name) }) };
        let folder = self.open_folder(name.parent().unwrap_or(Path::new("."))).map_err(|error| match error {
            FileError::Io { source, .. } => FileError::io("write", &self.path(name), source),
            error => error,
        })?;
        Ok((folder, last.to_owned()))
    }
}

/// Writes a file that does not exist.
fn write_new(folder: &OwnedFd, name: &OsString, content: &str, mode: RawMode) -> io::Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(mode))?);
    let written = file.write_all(content.as_bytes());
    if written.is_err() {
        // The first error is the one to report.
        let _ = rustix::fs::unlinkat(folder, name, AtFlags::empty());
    }
    written
}

/// The type of a file in a folder, without following a link.
fn kind_of(folder: impl AsFd, name: &Path) -> Result<FileType, Errno> {
    Ok(FileType::from_raw_mode(rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode))
}

fn os(bytes: &[u8]) -> OsString {
    use std::os::unix::ffi::OsStringExt as _;
    OsString::from_vec(bytes.to_owned())
}

/// A folder on the way to a file need not be readable.
fn search_only() -> OFlags {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return OFlags::PATH;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    return OFlags::RDONLY;
}

fn described(kind: FileType) -> &'static str {
    match kind {
        FileType::Directory => "a folder",
        FileType::Fifo => "a named pipe",
        FileType::Socket => "a socket",
        FileType::BlockDevice | FileType::CharacterDevice => "a device",
        FileType::Symlink => "a link",
        _ => "a special file",
    }
}
