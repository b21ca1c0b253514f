//! Writing a file as a whole: a reader finds the old content or the new one, also after a full disk or a killed process.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// Writes a file, and replaces an existing one only when the new content is complete. Writes to a pipe or a device directly.
///
/// # Errors
/// If the file cannot be written. It is then as it was.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(existing) if !existing.is_file() => return fs::write(path, content),
        _ => {}
    }
    // The file that a link names is replaced, not the link.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let draft = match Draft::write(&path, content) {
        // The file may be writable in a folder that is not.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && path.exists() => {
            return fs::write(path, content);
        }
        draft => draft?,
    };
    if let Ok(existing) = fs::metadata(&path) {
        // Fails for a file of another user, unless this one is root.
        let _ = std::os::unix::fs::chown(&draft.path, Some(existing.uid()), Some(existing.gid()));
        fs::set_permissions(&draft.path, existing.permissions())?;
    }
    fs::rename(&draft.path, &path)?;
    draft.keep();
    Ok(())
}

/// Writes a file unless it exists. Returns whether it was written.
///
/// # Errors
/// If the file cannot be written. It then does not exist.
pub fn create(path: &Path, content: &[u8]) -> io::Result<bool> {
    if fs::symlink_metadata(path).is_ok() {
        return Ok(false);
    }
    let draft = Draft::write(path, content)?;
    // Unlike a rename, a link never replaces a file that was created in the meantime.
    match fs::hard_link(&draft.path, path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        // File systems without hard links.
        Err(_) => {
            fs::rename(&draft.path, path)?;
            draft.keep();
            Ok(true)
        }
    }
}

/// A file beside the one to write. It is deleted when it is dropped.
struct Draft {
    path: PathBuf,
    is_kept: bool,
}

impl Draft {
    fn write(path: &Path, content: &[u8]) -> io::Result<Self> {
        for number in 0.. {
            let path = path.with_file_name(format!(".flowsmith-{}-{number}.tmp", std::process::id()));
            // An existing file may be a link to anywhere.
            match fs::OpenOptions::new().write(true).create_new(true).open(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
                Ok(mut file) => {
                    let draft = Self { path, is_kept: false };
                    file.write_all(content)?;
                    return Ok(draft);
                }
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_kept {
            // The error that led here is the one to report.
            let _ = fs::remove_file(&self.path);
        }
    }
}
