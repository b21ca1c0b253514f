//! The embedded server.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use flowsmith_devserver::{Durability, Lifetime, Server, ServerError, Settings, provide};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::fixture::command::psql_command;
use crate::fixture::{self, Database};

const NOBODY: u32 = 65534;
const FOLDER: &str = "FLOWSMITH_TEST_FOLDER";

#[tokio::test]
async fn each_test_has_a_separate_database() {
    let (one, other) = (Database::create().await, Database::create().await);
    execute(one.options(), "CREATE TABLE t ()").await;
    execute(other.url().parse().unwrap(), "CREATE TABLE t ()").await;
}

#[tokio::test]
async fn template_is_built_once() {
    let build = async |options: PgConnectOptions| execute(options, "CREATE TABLE built ()").await;
    let (one, other) = tokio::join!(
        Database::from_template("server_test", build),
        Database::from_template("server_test", async |_| panic!("the template is there already")),
    );
    for database in [one, other] {
        execute(database.options(), "SELECT FROM built").await;
    }
}

#[tokio::test]
async fn psql_accepts_the_url() {
    let server = fixture::shared_server();
    let name = "a name+with? 100% /specials";
    assert!(server.ensure_database(name).await.unwrap());
    assert!(!server.ensure_database(name).await.unwrap());
    let output = psql_command().arg(server.url(name)).args(["-Atc", "SELECT current_database()"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), name, "{output:?}");
    execute(server.url(name).parse().unwrap(), "SELECT 1").await;
}

#[tokio::test]
async fn server_does_not_listen_on_the_network() {
    let database = Database::create().await;
    let mut connection = database.connect().await;
    let addresses: String = sqlx::query_scalar("SHOW listen_addresses").fetch_one(&mut connection).await.unwrap();
    assert_eq!(addresses, "");
}

#[tokio::test]
async fn data_survives_a_restart() {
    let folder = fixture::new_folder("survives");
    let server = Server::start(fixture::binaries(), &folder, Durability::Durable, Lifetime::Owner).unwrap();
    assert!(server.ensure_database("kept").await.unwrap());
    server.stop().unwrap();
    assert!(!folder.join("data/postmaster.pid").exists());
    assert!(!folder.join("socket").exists());

    let server = Server::start(fixture::binaries(), &folder, Durability::Durable, Lifetime::Owner).unwrap();
    assert!(!server.ensure_database("kept").await.unwrap());
    assert_eq!(Server::data_major(&folder), Some(fixture::binaries().version.major));
}

#[tokio::test]
async fn concurrent_starts_on_one_folder_share_one_server() {
    let folder = fixture::new_folder("at-once");
    let [one, other] = thread::scope(|scope| {
        [scope.spawn(|| fixture::start_server(&folder)), scope.spawn(|| fixture::start_server(&folder))]
            .map(|it| it.join().unwrap())
    });
    assert!(one.started_here() != other.started_here());
    let (owner, guest) = if one.started_here() { (one, other) } else { (other, one) };
    assert!(owner.ensure_database("shared").await.unwrap());
    assert!(!guest.ensure_database("shared").await.unwrap());
    guest.stop().unwrap();
    assert!(!owner.ensure_database("shared").await.unwrap(), "the guest must not stop the owner's server");
}

#[tokio::test]
async fn killed_server_recovers_at_the_next_start() {
    let folder = fixture::new_folder("killed-server");
    let server = fixture::start_server(&folder);
    let survivor = server.connect_options("postgres").connect().await.unwrap();
    server.ensure_database("kept").await.unwrap();
    let socket = Path::new(&fs::read_to_string(folder.join("socket")).unwrap()).join(".s.PGSQL.5432");
    kill_process(Pid::from_raw(postmaster(&folder)).unwrap(), Signal::KILL).unwrap();
    assert_eventually("nothing listens any more", || UnixStream::connect(&socket).is_err());

    let next = fixture::start_server(&folder);
    assert!(next.started_here());
    assert!(!next.ensure_database("kept").await.unwrap());
    drop((survivor, server));
}

#[cfg(target_os = "linux")]
#[test]
fn server_ends_with_its_killed_owner() {
    let folder = fixture::new_folder("killed-owner");
    let (mut owner, _) = hold_in_child(Command::new(std::env::current_exe().unwrap()), &folder);
    let server = postmaster(&folder);
    assert!(fixture::is_alive(server));
    owner.kill().unwrap();
    owner.wait().unwrap();
    assert_eventually("the server has ended", || !fixture::is_alive(server));
    assert!(fixture::start_server(&folder).started_here());
}

/// The other tests may run as root, which starts the server as another user.
#[test]
fn server_starts_as_an_unprivileged_user() {
    let folder = fixture::new_folder("normal-user");
    let program = folder.join("it");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let mut command = Command::new(program);
    let expected = if geteuid().is_root() {
        chown(&folder, Some(NOBODY), Some(NOBODY)).unwrap();
        command.uid(NOBODY).gid(NOBODY);
        NOBODY
    } else {
        geteuid().as_raw()
    };
    let (mut owner, url) = hold_in_child(command, &folder);
    let data = fs::metadata(folder.join("data")).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&data), expected);
    assert!(url.starts_with("postgresql:///"), "{url}");
    drop(owner.stdin.take());
    assert!(owner.wait().unwrap().success());
    assert!(!folder.join("data/postmaster.pid").exists());
}

#[test]
fn inaccessible_folder_is_replaced_with_another() {
    if !geteuid().is_root() {
        return;
    }
    let folder = fixture::new_folder("closed");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).unwrap();
    let server = fixture::start_server(&folder);
    assert!(server.moved());
    let elsewhere = server.folder().to_owned();
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    server.stop().unwrap();
    assert_eq!(fixture::start_server(&folder).folder(), elsewhere);
    fs::remove_dir_all(elsewhere).unwrap();
}

#[test]
fn data_of_another_major_version_is_refused() {
    let folder = fixture::new_folder("other-major");
    fixture::start_server(&folder).stop().unwrap();
    fs::write(folder.join("data/PG_VERSION"), "9\n").unwrap();
    let error = Server::start(fixture::binaries(), &folder, Durability::Disposable, Lifetime::Owner).unwrap_err();
    assert!(matches!(&error, ServerError::OtherMajor { made_by, .. } if made_by == "9"), "{error}");
}

#[test]
fn data_of_another_user_is_refused() {
    if !geteuid().is_root() {
        return;
    }
    let folder = fixture::new_folder("other-user");
    fs::create_dir(folder.join("data")).unwrap();
    let error = Server::start(fixture::binaries(), &folder, Durability::Disposable, Lifetime::Owner).unwrap_err();
    assert!(matches!(error, ServerError::WrongOwner { owner: 0, .. }), "{error}");
}

#[test]
fn failed_start_quotes_the_log() {
    let folder = fixture::new_folder("does-not-start");
    fixture::start_server(&folder).stop().unwrap();
    fs::write(folder.join("data/postgresql.auto.conf"), "nonsense = on\n").unwrap();
    let error = Server::start(fixture::binaries(), &folder, Durability::Disposable, Lifetime::Owner).unwrap_err();
    assert!(error.to_string().contains("nonsense"), "{error}");
    assert!(!folder.join("data/postmaster.pid").exists());
}

#[test]
fn incomplete_data_folder_is_created_again() {
    let folder = fixture::new_folder("half-made");
    fs::create_dir(folder.join("data.new")).unwrap();
    fs::write(folder.join("data.new/PG_VERSION"), "").unwrap();
    assert!(fixture::start_server(&folder).started_here());
    assert!(!folder.join("data.new").exists());
}

#[test]
fn missing_server_lists_every_searched_place() {
    let settings = Settings { binaries: None, major: Some(99), fetch: false };
    let error = provide(&settings, &|_| {}).unwrap_err();
    let (message, help) = (error.to_string(), error.help());
    for place in ["/usr/lib/postgresql", "/usr/pgsql-*/bin", "/opt/homebrew", "Postgres.app", "flowsmith/postgres-"] {
        assert!(message.contains(place), "{place} is missing from: {message}");
    }
    for advice in ["apt install postgresql", "--database", "FLOWSMITH_POSTGRES_BIN"] {
        assert!(help.contains(advice), "{advice} is missing from: {help}");
    }
}

#[test]
fn named_folder_without_a_server_is_refused_without_alternatives() {
    let settings = Settings { binaries: Some("/nonexistent".into()), ..Settings::default() };
    let error = provide(&settings, &|_| {}).unwrap_err();
    assert!(matches!(error, ServerError::Named { .. }), "{error}");
}

/// Starts a server, writes its URL to a file, and stops it at the end of standard input.
#[test]
#[ignore = "other tests run it in another process"]
fn hold_a_server() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let server = fixture::start_server(Path::new(&folder));
    fs::write(Path::new(&folder).join("url"), server.url("postgres")).unwrap();
    std::io::stdin().lines().for_each(drop);
    server.stop().unwrap();
}

/// Runs `hold_a_server` in another process. Returns the URL of its server.
fn hold_in_child(mut program: Command, folder: &Path) -> (Child, String) {
    let child = program
        .args(["--exact", "devserver::hold_a_server", "--ignored"])
        .env(FOLDER, folder)
        .env("FLOWSMITH_POSTGRES_BIN", &fixture::binaries().dir)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let url = folder.join("url");
    assert_eventually("the child has a server", || fs::read_to_string(&url).is_ok_and(|url| !url.is_empty()));
    (child, fs::read_to_string(url).unwrap())
}

pub(crate) fn postmaster(folder: &Path) -> i32 {
    let file = fs::File::open(folder.join("data/postmaster.pid")).unwrap();
    BufReader::new(file).lines().next().unwrap().unwrap().parse().unwrap()
}

fn assert_eventually(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

async fn execute(options: PgConnectOptions, sql: &'static str) {
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
