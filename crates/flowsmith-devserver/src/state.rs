//! The place of a project's server: outside of the project.
//!
//! Whoever writes to a repository can put files into each of its folders, also into one that Git ignores: a checkout overwrites
//! ignored files. A data folder there could contain settings that run commands, and notes of processes to signal and folders to
//! delete. The server of a project is therefore in the state directory of the user, and nothing in the project names it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::ServerError;
use super::account::Account;
use crate::hash::sha256_hex;

/// The folder in a project that earlier versions used, and that a hostile repository may contain.
const IN_PROJECT: &str = ".flowsmith/postgres";

/// The place for the data of root's projects in folders that the server's user cannot access, such as `/root`.
pub(super) const SYSTEM_STATE: &str = "/var/lib/flowsmith";

/// The folder of the server of a project, which may not exist yet: below `$XDG_STATE_HOME/flowsmith` or
/// `~/.local/state/flowsmith`; for root, below `/var/lib/flowsmith` if the server's user cannot access that folder. Another folder
/// that takes the path of the project later has another server.
///
/// # Errors
/// [`ServerError::InProject`] if the project contains a folder of a server; [`ServerError::NoAccount`] and [`ServerError::Io`].
pub fn project_folder(project: &Path) -> Result<PathBuf, ServerError> {
    let project = project.canonicalize().map_err(ServerError::io("resolve", project))?;
    let folder = state(&Account::for_server()?)?.join(name(&project)?);
    if project.join(IN_PROJECT).symlink_metadata().is_ok() {
        return Err(ServerError::InProject { found: IN_PROJECT.into(), folder });
    }
    Ok(folder)
}

fn name(project: &Path) -> Result<String, ServerError> {
    let inode = fs::metadata(project).map_err(ServerError::io("read the metadata of", project))?.ino();
    let key = [project.as_os_str().as_encoded_bytes(), b"\0", inode.to_string().as_bytes()].concat();
    let folder = project.file_name().unwrap_or_default().to_string_lossy();
    let plain: String = folder.chars().filter(|each| each.is_ascii_alphanumeric() || "._-".contains(*each)).collect();
    let plain = plain.trim_start_matches('.');
    Ok(format!("{}-{}", &plain[..plain.len().min(40)], &sha256_hex(&key)[..16]))
}

fn state(account: &Account) -> Result<PathBuf, ServerError> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")));
    let Some(base) = base else { return Ok(SYSTEM_STATE.into()) };
    let existing = base.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    Ok(if account.can_enter(existing)? { base.join("flowsmith") } else { SYSTEM_STATE.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_folder_of_a_path_has_its_own_server() {
        let parent = tempfile::tempdir().unwrap();
        let project = parent.path().join(".sh öp");
        fs::create_dir(&project).unwrap();
        let first = name(&project).unwrap();
        assert!(first.starts_with("shp-"), "{first}");
        assert_eq!(name(&project).unwrap(), first);
        // The first one still exists, so that its inode is not used again.
        fs::rename(&project, parent.path().join("other")).unwrap();
        fs::create_dir(&project).unwrap();
        assert_ne!(name(&project).unwrap(), first);
    }

    #[test]
    fn folder_of_a_server_in_the_project_is_refused() {
        let project = tempfile::tempdir().unwrap();
        assert!(project_folder(project.path()).is_ok());
        fs::create_dir(project.path().join(".flowsmith")).unwrap();
        assert!(project_folder(project.path()).is_ok());
        std::os::unix::fs::symlink("/nowhere", project.path().join(IN_PROJECT)).unwrap();
        let error = project_folder(project.path()).unwrap_err();
        assert!(matches!(error, ServerError::InProject { .. }), "{error}");
    }
}
