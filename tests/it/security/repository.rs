//! Attacks by the author of a repository, against programs that start and stop servers and write files.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use flowsmith_devserver::{Server, ServerError};

use crate::fixture::command::Project;
use crate::fixture::{self, Database};
use crate::program::up::embedded;

/// A process and a folder that nobody has asked flowsmith to touch.
struct Victim {
    process: Child,
    /// The folder has a name like a socket folder of flowsmith, and a socket on which something listens.
    folder: tempfile::TempDir,
    _listener: UnixListener,
}

impl Victim {
    fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("flowsmith-").tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(".s.PGSQL.5432")).unwrap();
        fs::write(folder.path().join("precious"), "").unwrap();
        // The user of the server owns what flowsmith may delete.
        if rustix::process::geteuid().is_root() {
            let passwd = fs::read_to_string("/etc/passwd").unwrap();
            let line =
                ["postgres:", "nobody:"].iter().find_map(|name| passwd.lines().find(|line| line.starts_with(name)));
            let uid = line.unwrap().split(':').nth(2).unwrap().parse().unwrap();
            chown(folder.path(), Some(uid), None).unwrap();
        }
        Self { process: Command::new("sleep").arg("600").spawn().unwrap(), folder, _listener: listener }
    }

    /// Writes the folder of a server that names the process and the folder.
    fn name_in(&self, server: &Path) {
        fs::create_dir_all(server.join("data")).unwrap();
        fs::write(server.join("socket"), self.folder.path().to_str().unwrap()).unwrap();
        fs::write(server.join("data/PG_VERSION"), format!("{}\n", fixture::binaries().version.major)).unwrap();
        let (pid, data, socket) = (self.process.id(), server.join("data"), self.folder.path());
        let postmaster =
            format!("{pid}\n{}\n1763694000\n5432\n{}\n\n  1   1\nready   \n", data.display(), socket.display());
        fs::write(data.join("postmaster.pid"), postmaster).unwrap();
    }

    #[track_caller]
    fn assert_untouched(&mut self) {
        assert!(self.process.try_wait().unwrap().is_none(), "the process was signalled");
        assert!(self.folder.path().join("precious").exists(), "the folder was deleted");
        assert!(self.folder.path().join(".s.PGSQL.5432").exists(), "the socket was deleted");
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The commands that use the embedded server.
const COMMANDS: [&str; 4] = ["up", "status", "apply", "down"];

#[test]
fn server_folder_of_a_repository_is_refused() {
    let mut victim = Victim::new();
    let embedded = embedded();
    let project = &embedded.0;
    project.flow("order", "", "  load: {}");
    let server = project.path(".flowsmith/postgres");
    let elsewhere = tempfile::tempdir().unwrap();
    victim.name_in(elsewhere.path());
    let traps: [&dyn Fn(); 4] = [
        &|| victim.name_in(&server),
        &|| {
            fs::create_dir_all(&server).unwrap();
            fs::write(server.join("elsewhere"), elsewhere.path().to_str().unwrap()).unwrap();
        },
        &|| symlink(elsewhere.path(), &server).unwrap(),
        &|| fs::write(&server, "").unwrap(),
    ];
    for trap in traps {
        fs::create_dir_all(project.path(".flowsmith")).unwrap();
        trap();
        for command in COMMANDS {
            let refused = project.exits_with(5, &[command]);
            assert!(refused.contains("error[FS939]: the project contains .flowsmith/postgres"), "{command}: {refused}");
            assert!(refused.contains("help: move .flowsmith/postgres out of the project"), "{command}: {refused}");
        }
        let name = project.path("set-aside");
        fs::rename(&server, &name).unwrap();
        if name.is_dir() && !name.is_symlink() {
            fs::remove_dir_all(name).unwrap()
        } else {
            fs::remove_file(name).unwrap()
        }
    }
    victim.assert_untouched();
}

#[test]
fn other_folders_of_a_repository_are_not_used() {
    let mut victim = Victim::new();
    let embedded = embedded();
    let project = &embedded.0;
    project.flow("order", "", "  load: {}");
    victim.name_in(&project.path(".flowsmith"));
    let up = project.succeeds(&["up"]);
    assert!(up.stdout.contains("PostgreSQL  started, data in ") && !up.stdout.contains("/.flowsmith"), "{up}");
    assert!(project.succeeds(&["down"]).all_output().contains("Stopped PostgreSQL"));
    victim.assert_untouched();
}

#[test]
fn process_with_the_id_of_a_server_is_not_stopped() {
    let mut victim = Victim::new();
    let folder = fixture::new_folder("stale-process");
    victim.name_in(&folder);
    let error = Server::stop_running(&folder).unwrap_err();
    assert!(matches!(error, ServerError::ForeignProcess { pid, .. } if pid == victim.process.id()), "{error}");
    victim.assert_untouched();
    // Without a listener there is no server.
    fs::write(folder.join("data/postmaster.pid"), format!("{}\n\n1\n5432\n/nowhere\n", victim.process.id())).unwrap();
    assert!(!Server::stop_running(&folder).unwrap());
    victim.assert_untouched();
}

#[test]
fn folder_that_others_can_write_to_is_refused() {
    let folder = fixture::new_folder("writable");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(Server::stop_running(&folder), Err(ServerError::Untrusted { .. })));
}

/// Replaces a file with a link to a file outside of the project.
fn link(project: &Project, name: &str) -> (tempfile::TempDir, PathBuf) {
    let outside = tempfile::tempdir().unwrap();
    let precious = outside.path().join("precious");
    fs::write(&precious, "flow: s3cret\nsteps: { s3cret: {} }\n").unwrap();
    let _ = fs::remove_file(project.path(name));
    symlink(&precious, project.path(name)).unwrap();
    (outside, precious)
}

#[tokio::test]
async fn commands_with_a_database_follow_no_link_out_of_the_project() {
    let database = Database::create().await;
    let project = Project::on(&database);
    project.flow("order", "", "  load: {}");
    let migration = format!("migrations/{}", project.compile());
    project.succeeds(&["install"]);
    project.succeeds(&["apply"]);
    for (file, commands) in [
        ("flows/order.yaml", &["plan --format markdown", "pull --overwrite", "up"][..]),
        (&migration, &["plan --format markdown", "apply", "status", "pull"]),
        ("migrations/flowsmith.sum", &["plan --format markdown", "apply", "status"]),
        ("flowsmith.toml", &["plan", "apply", "status", "down"]),
    ] {
        let kept = fs::read(project.path(file)).ok();
        let (_outside, precious) = link(&project, file);
        for command in commands {
            let outcome = project.run(&command.split(' ').collect::<Vec<_>>());
            let printed = outcome.all_output();
            assert!([1, 4, 5].contains(&outcome.code), "{command} with {file}: {outcome}");
            assert!(
                ["FS018", "FS841", "FS842"].iter().any(|code| printed.contains(code)),
                "{command} with {file}: {outcome}"
            );
            assert!(!printed.contains("s3cret"), "{command} with {file}: {outcome}");
        }
        assert!(fs::read_to_string(precious).unwrap().starts_with("flow: s3cret"));
        fs::remove_file(project.path(file)).unwrap();
        if let Some(kept) = kept {
            fs::write(project.path(file), kept).unwrap();
        }
    }
    project.succeeds(&["plan"]);
}
