//! `up` on an embedded server: creates a database that is in sync with the files, and keeps it so.

use std::io::Read as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::fixture;
use crate::fixture::command::{Outcome, Project, psql_command};

/// A project whose embedded server is stopped at the end of the test, even if it fails.
pub(crate) struct Embedded(pub(crate) Project);

impl Drop for Embedded {
    fn drop(&mut self) {
        let _ = self.0.command(&["down"]).output();
    }
}

pub(crate) fn embedded() -> Embedded {
    let binaries = fixture::binaries().dir.display().to_string();
    let project = Embedded(Project::new().with("FLOWSMITH_POSTGRES_BIN", &binaries));
    // The server of root runs as another user, who needs access.
    let everyone = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(project.0.path(""), everyone).unwrap();
    project
}

fn connect_url(up: &Outcome) -> String {
    let (_, rest) = up.stdout.split_once("Connect: psql '").unwrap();
    rest.split_once('\'').unwrap().0.to_owned()
}

#[test]
fn up_creates_a_project_and_is_idempotent() {
    let embedded = embedded();
    let project = &embedded.0;
    project.succeeds(&["init"]);
    assert!(project.read("flows/welcome.yaml").contains("flow: welcome"));
    let first = project.succeeds(&["up"]);
    for words in ["Checked", "Compiled", "PostgreSQL  started", "Engine", "In sync now", "Connect: "] {
        assert!(first.stdout.contains(words), "{words}: {first}");
    }
    let began = Instant::now();
    let second = project.succeeds(&["up"]);
    let took = began.elapsed();
    for words in ["nothing to compile", "PostgreSQL  running", "is up to date", "In sync  the database"] {
        assert!(second.stdout.contains(words), "{words}: {second}");
    }
    assert!(took.as_secs() < 5, "{took:?}");
    assert_eq!(project.migrations().len(), 1);

    // On a narrow terminal too, the command to copy stays on one line.
    let connect = second.stdout.lines().find(|line| line.starts_with("Connect: psql '")).unwrap();
    let narrow = project.command(&["up"]).env("COLUMNS", "40").output().unwrap();
    let narrow = String::from_utf8(narrow.stdout).unwrap();
    assert!(narrow.lines().any(|line| line == connect), "{narrow}");

    // Without a URL, the other commands use the embedded database.
    project.succeeds(&["plan"]);
    assert!(project.succeeds(&["drift"]).stdout.contains("None"));
    assert!(project.succeeds(&["status"]).stdout.contains("1 migration, 0 pending"));
    project.succeeds(&["doctor"]);

    // A change through psql survives a stop, and is reported as drift.
    let psql = |url: &str, sql: &str| {
        let output = psql_command().args(["-X", "-qAt", url, "-c", sql]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    psql(&connect_url(&second), "update pgflow.flows set opt_timeout = 77");
    let stopped = project.succeeds(&["down"]);
    assert!(stopped.stderr.contains("Stopped PostgreSQL; its data is kept"), "{stopped}");
    assert!(project.succeeds(&["down"]).stderr.contains("No embedded PostgreSQL is running"));

    // A command that needs the server starts it, reports that, and does not stop it while other sessions use it.
    let drift = project.exits_with(3, &["drift"]);
    assert!(
        drift.contains("77 s") && drift.contains("Started the project's PostgreSQL; it runs until `flowsmith down`"),
        "{drift}"
    );
    assert!(!project.exits_with(3, &["drift"]).contains("Started the project"));
    assert!(project.exits_with(3, &["up"]).contains("FS914"));
    project.succeeds(&["compile", "--from-live"]);
    project.succeeds(&["apply", "--accept-drift"]);
    let third = project.succeeds(&["up"]);
    assert_eq!(psql(&connect_url(&third), "select count(*) from flowsmith.migrations"), "2");
    project.succeeds(&["down"]);
}

/// Whether the folder of the embedded server has a file.
fn has_server_file(project: &Project, name: &str) -> bool {
    let folders = std::fs::read_dir(project.path(".local/state/flowsmith"));
    folders.into_iter().flatten().any(|folder| folder.is_ok_and(|folder| folder.path().join(name).exists()))
}

/// Starts `up`, and interrupts it like Ctrl-C as soon as a condition is true.
fn interrupted(project: &Project, is_reached: impl Fn(&str) -> bool) {
    let mut up = project.command(&["up"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let (mut stdout, message) = (up.stdout.take().unwrap(), Arc::new(Mutex::new(String::new())));
    let reading = std::thread::spawn({
        let message = Arc::clone(&message);
        move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stdout.read(&mut buffer) {
                message.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        }
    });
    let end = Instant::now() + Duration::from_secs(60);
    // The command may end before its output is read.
    while !is_reached(&message.lock().unwrap()) && up.try_wait().unwrap().is_none() {
        assert!(Instant::now() < end, "{}", message.lock().unwrap());
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&up), rustix::process::Signal::INT);
    up.wait().unwrap();
    reading.join().unwrap();
}

#[test]
fn interrupted_up_does_not_block_the_next() {
    let embedded = embedded();
    let project = &embedded.0;
    project.succeeds(&["init"]);
    interrupted(project, |message| message.contains("Checked"));
    interrupted(project, |_| has_server_file(project, "data.new"));
    // During the start of the server, the install and the apply.
    interrupted(project, |_| has_server_file(project, "data/postmaster.pid"));
    interrupted(project, |message| message.contains("PostgreSQL  "));
    interrupted(project, |message| message.contains("Engine"));
    let up = project.succeeds(&["up"]);
    assert!(up.stdout.contains("  the database matches the flow files (1 flow)"), "{up}");
    assert!(project.succeeds(&["status"]).stdout.contains("1 migration, 0 pending"));
    let url = project.succeeds(&["up", "--url"]);
    assert!(url.stdout.starts_with("postgresql:///flowsmith?host=") && url.stdout.lines().count() == 1, "{url}");
    assert!(url.stderr.contains("In sync"), "{url}");
    project.succeeds(&["down"]);
    let refused = project.exits_with(64, &["up", "--url", "--database", "postgres://127.0.0.1:1/x"]);
    assert!(refused.contains("--url prints the URL of the embedded database"), "{refused}");
}

#[test]
fn missing_database_and_server_are_reported() {
    let project = Project::new();
    project.flow("order", "", "  load: {}");
    for command in ["plan", "apply", "drift", "status", "pull", "doctor", "install"] {
        let refused = project.exits_with(64, &[command]);
        assert!(refused.contains("FS824") && refused.contains("flowsmith up"), "{refused}");
    }
    assert!(!project.path(".local").exists());
    project.succeeds(&["check"]);
    project.compile();
    let behind = Project::new();
    behind.flow("order", "", "  load: {}");
    assert!(behind.exits_with(2, &["up", "--no-compile"]).contains("FS827"));
}

#[test]
fn init_keeps_existing_files() {
    let project = Project::new();
    project.write("flowsmith.toml", "flows = \"mine\"\n");
    project.succeeds(&["init"]);
    project.succeeds(&["init"]);
    assert_eq!(project.read("flowsmith.toml"), "flows = \"mine\"\n");
}

#[test]
fn init_writes_no_example_beside_existing_flows() {
    let project = Project::new();
    project.flow("order", "", "  load: {}");
    for _ in 0..2 {
        let message = project.succeeds(&["init"]).all_output();
        assert!(message.contains("Skipped flows/welcome.yaml") && message.contains("flows/order.yaml"), "{message}");
        assert!(!message.contains("start welcome") && !project.path("flows/welcome.yaml").exists(), "{message}");
    }
    assert!(project.path("flowsmith.toml").exists());
    // The settings may name another folder.
    let project = Project::new();
    project.write("flowsmith.toml", "flows = \"mine\"\n");
    project.write("mine/order.toml", "flow = \"order\"\n[steps.load]\n");
    assert!(project.succeeds(&["init"]).all_output().contains("mine/order.toml"));
    assert!(!project.path("flows/welcome.yaml").exists());
    // The example alone does not count as existing flows.
    let project = Project::new();
    project.succeeds(&["init"]);
    let message = project.succeeds(&["init"]).all_output();
    assert!(message.contains("Kept  flows/welcome.yaml") && message.contains("start welcome"), "{message}");
}
