//! Passes the Git commit to release builds. Rebuilds the program when a page of `docs/findings` is added, because `explain`
//! embeds that folder.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo::rerun-if-changed=docs/findings");
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    // Only release builds: cargo compiles the whole package again when the commit changes.
    if env::var_os("PROFILE").is_some_and(|profile| profile == "release")
        && let Some(commit) = commit(&root)
    {
        println!("cargo::rustc-env=FLOWSMITH_COMMIT={}", &commit[..9]);
    }
}

/// The commit that is checked out, read from the files of Git so that no `git` is needed. None outside of a checkout.
fn commit(root: &Path) -> Option<String> {
    // In a linked worktree `.git` is a file that names the worktree's folder, which names the repository's.
    let dot_git = root.join(".git");
    let folder = match fs::read_to_string(&dot_git) {
        Ok(text) => root.join(text.strip_prefix("gitdir:")?.trim()),
        Err(_) => dot_git,
    };
    let common = match fs::read_to_string(folder.join("commondir")) {
        Ok(text) => folder.join(text.trim()),
        Err(_) => folder.clone(),
    };
    let head = watched(&folder.join("HEAD"))?;
    let commit = match head.trim().strip_prefix("ref: ") {
        None => head.trim().to_owned(),
        Some(reference) => match watched(&common.join(reference)) {
            Some(commit) => commit.trim().to_owned(),
            // `git gc` and `git clone` keep branches in one file. The next commit creates the branch's own file and is
            // written to the log.
            None => {
                watched(&folder.join("logs/HEAD"));
                let packed = watched(&common.join("packed-refs"))?;
                packed.lines().find_map(|line| line.strip_suffix(reference)?.strip_suffix(' ').map(str::to_owned))?
            }
        },
    };
    (commit.len() >= 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(commit)
}

/// Reads a file whose changes cause a rebuild. A missing file is not watched: cargo would rebuild every time.
fn watched(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    println!("cargo::rerun-if-changed={}", path.display());
    Some(text)
}
