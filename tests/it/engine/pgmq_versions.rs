//! All supported versions of pgmq, as an extension and as plain SQL.
//!
//! The crate pgmq contains the upgrade script of each version. The tests install them as an extension into a copy of the
//! server's programs, whose extension folder is writable.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use flowsmith_devserver::{Binaries, Durability, Lifetime, Server};
use flowsmith_postgres::engine::detect::PgmqState;
use flowsmith_postgres::engine::doctor::{CheckStatus, doctor};
use flowsmith_postgres::engine::install::{InputStyle, InstallError, PgmqAction, install, install_with_roles};
use flowsmith_postgres::engine::roles::{Role, RolePrefix};
use serde_json::Value;
use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use crate::engine::definitions::{execute, text};
use crate::fixture::{Database, binaries, new_folder};
use crate::shared::skip;

/// The folder of the crate's scripts, such as `pgmq--1.4.4--1.4.5.sql`. Its parent contains `pgmq.control`.
static SCRIPTS: LazyLock<PathBuf> = LazyLock::new(|| {
    // Crates for other platforms may be missing, and tests must not download them.
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let host = String::from_utf8(rustc.stdout).unwrap();
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked", "--filter-platform", host])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let pgmq = packages.iter().find(|package| package["name"] == "pgmq").unwrap();
    let manifest = Path::new(pgmq["manifest_path"].as_str().unwrap());
    manifest.parent().unwrap().join("src/install/embedded/sql")
});

/// The upgrade scripts since 1.1.1 in order, each with its target version.
fn scripts() -> Vec<(Vec<u32>, PathBuf)> {
    let mut scripts: Vec<_> = fs::read_dir(&*SCRIPTS)
        .unwrap()
        .filter_map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_stem()?.to_str()?.to_owned();
            let (from, to) = name.strip_prefix("pgmq--")?.split_once("--")?;
            let parts = |version: &str| version.split('.').map(|part| part.parse().unwrap()).collect::<Vec<u32>>();
            (parts(from) >= vec![1, 1, 1]).then(|| (parts(to), path))
        })
        .collect();
    scripts.sort();
    scripts
}

fn dotted(version: &[u32]) -> String {
    version.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
}

/// The versions that the engine supports.
fn supported() -> Vec<String> {
    scripts().iter().filter(|(version, _)| *version >= vec![1, 4, 4]).map(|(version, _)| dotted(version)).collect()
}

/// A path from the `pg_config` in the folder of the server's programs, if that has one. The programs may be symbolic links.
fn pg_config(what: &str) -> Option<PathBuf> {
    let postgres = binaries().dir.join("postgres").canonicalize().ok()?;
    let output = Command::new(postgres.with_file_name("pg_config")).arg(what).output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().into())
}

/// A server with private copies of `share` and `bin`, in which every version of pgmq is available as an extension. None if
/// a copy of the programs cannot run on this machine.
fn server_with_pgmq(name: &str) -> Option<Server> {
    let (Some(bin), Some(share), Some(lib)) =
        (pg_config("--bindir"), pg_config("--sharedir"), pg_config("--pkglibdir"))
    else {
        skip("there is no pg_config beside the server's programs");
        return None;
    };
    // The programs find the other folders by paths relative to their own, if these have a common parent.
    let root = new_folder(name);
    let own = |path: &Path| root.join(path.strip_prefix("/").unwrap());
    fs::create_dir_all(own(&bin)).unwrap();
    for program in ["postgres", "initdb"] {
        fs::copy(bin.join(program), own(&bin).join(program)).unwrap();
    }
    fs::create_dir_all(own(&lib).parent().unwrap()).unwrap();
    symlink(&lib, own(&lib)).unwrap();
    fs::create_dir_all(own(&share)).unwrap();
    for entry in fs::read_dir(&share).unwrap().map(Result::unwrap).filter(|entry| entry.file_name() != "extension") {
        symlink(entry.path(), own(&share).join(entry.file_name())).unwrap();
    }
    let extensions = own(&share).join("extension");
    fs::create_dir(&extensions).unwrap();
    for file in ["plpgsql.control", "plpgsql--1.0.sql"] {
        symlink(share.join("extension").join(file), extensions.join(file)).unwrap();
    }
    for (_, script) in scripts() {
        fs::copy(&script, extensions.join(script.file_name().unwrap())).unwrap();
    }
    fs::write(extensions.join("pgmq--1.1.1.sql"), include_str!("pgmq_1.1.1.sql")).unwrap();
    let control = fs::read_to_string(SCRIPTS.join("../pgmq.control")).unwrap();
    fs::write(extensions.join("pgmq.control"), control).unwrap();
    make_readable(&root);

    if !Command::new(own(&bin).join("postgres")).arg("--version").output().is_ok_and(|ran| ran.status.success()) {
        skip("a copy of the server's programs does not run, as on a file system that is mounted noexec");
        return None;
    }
    let copy = Binaries { dir: own(&bin), ..binaries().clone() };
    Some(Server::start(&copy, &new_folder(&format!("{name}-data")), Durability::Disposable, Lifetime::Owner).unwrap())
}

/// Makes a folder readable for all users regardless of the umask, because a test run by root starts the server as another
/// user.
fn make_readable(folder: &Path) {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            make_readable(&entry.path());
        } else if kind.is_file() {
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

/// Creates a database owned by `app`, which is not a superuser.
async fn database(server: &Server, name: &str) -> PgConnectOptions {
    let c = &mut server.connect_options("postgres").connect().await.unwrap();
    if text(c, "select count(*) from pg_roles where rolname = 'app'").await.as_deref() == Some("0") {
        execute(c, "create role app login createrole").await;
    }
    execute(c, &format!("create database {name} owner app")).await;
    server.connect_options(name).username("app")
}

/// Versions in which pgmq itself is broken: its functions read a column that new queues do not have.
const BROKEN: [&str; 1] = ["1.10.0"];

/// The error if pgmq cannot create, fill, read and drop a queue without the engine.
async fn own_failure(c: &mut PgConnection) -> Option<String> {
    let own = "select pgmq.create('probe'); select pgmq.send('probe', '{}'); select * from pgmq.read('probe', 0, 1); select pgmq.drop_queue('probe')";
    sqlx::raw_sql(own).execute(c).await.err().map(|error| error.to_string())
}

/// The self-test runs flows through start, read, start_tasks, complete, fail, retry and archive.
async fn assert_works(c: &mut PgConnection, version: &str) {
    let checks = doctor(c).await.unwrap();
    let bad: Vec<_> = checks.iter().filter(|check| check.status != CheckStatus::Ok).collect();
    assert!(bad.is_empty(), "pgmq {version}: {bad:#?}");
    execute(
        c,
        "select pgflow.create_flow('Works'), pgflow.add_step('Works', 'load');
         select pgflow.start_flow('Works', '{}') from generate_series(1, 2)",
    )
    .await;
    let moved = "(select string_agg(msg_id || ' ' || read_ct || ' ' || (vt > now() + interval '50 s') || ' ' || (headers is null), ', ')
                  from pgflow.set_vt_batch('Works', array[1, 2], array[100, 200]))";
    assert_eq!(text(c, moved).await.as_deref(), Some("1 0 true true, 2 0 true true"), "pgmq {version}");
    let archive = "pgmq.archive('Works', 1)";
    assert_eq!(text(c, archive).await.as_deref(), Some("true"), "pgmq {version}");
    execute(c, "select pgflow.delete_flow_and_data('Works')").await;
    assert_eq!(text(c, "to_regclass('pgmq.q_works')").await, None, "pgmq {version}");
}

/// The oldest and the newest of some versions.
fn ends(versions: Vec<String>) -> Vec<String> {
    [versions.first(), versions.last()].into_iter().flatten().cloned().collect()
}

#[tokio::test]
async fn oldest_and_newest_version_work_as_extension() {
    let Some(server) = server_with_pgmq("pgmq-ends") else { return };
    assert_eq!(broken_as_extension(&server, &ends(supported())).await, [""; 0]);
    for version in ["1.4.3", "1.3.0"] {
        let options = database(&server, &format!("v{}", version.replace('.', "_"))).await;
        execute(&mut options.connect().await.unwrap(), &format!("create extension pgmq version '{version}'")).await;
        let error = install(&options, InputStyle::Separate).await.unwrap_err();
        assert!(matches!(&error, InstallError::OldPgmq(PgmqState::Extension(old)) if old == version), "{error}");
    }
}

#[tokio::test]
#[ignore = "soak: `cargo soak`"]
async fn supported_versions_work_as_extension() {
    let Some(server) = server_with_pgmq("pgmq-every") else { return };
    let versions = supported();
    assert!(versions.len() >= 18 && versions[0] == "1.4.4", "{versions:?}");
    assert_eq!(broken_as_extension(&server, &versions).await, BROKEN);
}

/// Which of these versions cannot create a queue themselves. The engine works on the others, or this panics.
async fn broken_as_extension<'v>(server: &Server, versions: &'v [String]) -> Vec<&'v str> {
    let mut broken = Vec::new();
    for version in versions {
        let options = database(server, &format!("v{}", version.replace('.', "_"))).await;
        let c = &mut options.connect().await.unwrap();
        execute(c, &format!("create extension pgmq version '{version}'")).await;
        if own_failure(c).await.is_some() {
            broken.push(version.as_str());
            continue;
        }
        let report = install(&options, InputStyle::Separate).await.unwrap();
        assert_eq!(report.pgmq, PgmqAction::Kept);
        assert_eq!(report.database.pgmq, PgmqState::Extension(version.clone()));
        assert_works(c, version).await;
    }
    broken
}

/// In old versions, `pgmq.create` adds the queue tables to the extension, which only the owner of the extension can do. The
/// deployer is not its owner.
#[tokio::test]
async fn roles_work_on_oldest_extension_and_after_its_upgrade() {
    let Some(server) = server_with_pgmq("pgmq-upgrade") else { return };
    let options = database(&server, "upgraded").await;
    let owner = &mut options.connect().await.unwrap();
    execute(owner, "create extension pgmq version '1.4.4'").await;
    let prefix = RolePrefix::new("shop").unwrap();
    install_with_roles(&options, InputStyle::Separate, &prefix).await.unwrap();
    let superuser = &mut server.connect_options("upgraded").connect().await.unwrap();
    for role in Role::ALL {
        let group = prefix.name(role);
        execute(superuser, &format!("create role {group}_login login in role {group}")).await;
    }
    let session = async |role: Role| {
        let login = format!("{}_login", prefix.name(role));
        options.clone().username(&login).connect().await.unwrap()
    };
    let deployer = &mut session(Role::Deployer).await;
    execute(deployer, "select pgflow.create_flow('order', base_delay => 0), pgflow.add_step('order', 'load')").await;
    execute(deployer, "select pgflow.add_step('order', 'send', array['load'])").await;
    let client = &mut session(Role::Client).await;
    let run = text(client, "pgflow.start_flow_with_states('order', '{}') #>> '{run,run_id}'").await.unwrap();
    let worker = &mut session(Role::Worker).await;
    let start = "select pgflow.start_tasks('order', array(select msg_id from pgmq.read('order', 60, 10)), null)";
    execute(worker, start).await;
    execute(worker, &format!("select pgflow.fail_task('{run}', 'load', 0, 'once')")).await;

    // The engine's own functions go on working; pgmq.read now also writes a column that the older version did not have.
    execute(owner, "alter extension pgmq update").await;
    execute(worker, "select pgflow.poll_tasks('order', null, 0)").await;
    execute(worker, "select pgflow.set_vt_batch('order', array[1], array[0])").await;
    install_with_roles(&options, InputStyle::Separate, &prefix).await.unwrap();
    execute(worker, start).await;
    execute(worker, &format!("select pgflow.complete_task('{run}', 'load', 0, '1')")).await;
    execute(worker, start).await;
    execute(worker, &format!("select pgflow.complete_task('{run}', 'send', 0, '2')")).await;
    let ended = format!("(select status || ' ' || output from pgflow.runs where run_id = '{run}')");
    assert_eq!(text(client, &ended).await.as_deref(), Some("completed {\"send\": 2}"));
    assert_eq!(text(owner, "select count(*) from pgmq.a_order").await.as_deref(), Some("2"));
    assert_works(owner, "1.4.4, upgraded").await;
}

#[tokio::test]
async fn available_extension_is_created_if_role_has_privilege() {
    let Some(server) = server_with_pgmq("pgmq-create") else { return };
    let options = database(&server, "created").await;
    let report = install(&options, InputStyle::Separate).await.unwrap();
    let newest = supported().pop().unwrap();
    assert_eq!(
        (report.pgmq, report.database.pgmq),
        (PgmqAction::CreatedExtension, PgmqState::Extension(newest.clone()))
    );

    let share = pg_config("--sharedir").unwrap();
    let control =
        folder_of(&server, "pgmq-create").join(share.strip_prefix("/").unwrap()).join("extension/pgmq.control");
    let only_superusers = fs::read_to_string(&control).unwrap().replace("superuser = false", "superuser = true");
    fs::write(&control, only_superusers).unwrap();
    let options = database(&server, "plain").await;
    let report = install(&options, InputStyle::Separate).await.unwrap();
    assert_eq!(report.pgmq, PgmqAction::InstalledSqlForLackOfRights);
    assert!(matches!(report.database.pgmq, PgmqState::Sql { version: Some(version), .. } if version == newest));
    assert_works(&mut options.connect().await.unwrap(), "plain SQL").await;
}

/// The folder of the copied programs, a sibling of the data folder.
fn folder_of(server: &Server, name: &str) -> PathBuf {
    server.folder().parent().unwrap().join(name)
}

/// Versions before 1.6 can create queues only if pgmq is an extension.
#[tokio::test]
async fn newest_version_works_as_plain_sql() {
    let newest = supported().split_off(supported().len() - 1);
    assert_eq!(working_as_plain_sql(&newest).await, newest);
}

#[tokio::test]
#[ignore = "soak: `cargo soak`"]
async fn supported_versions_work_as_plain_sql() {
    assert_eq!(working_as_plain_sql(&supported()).await.first().map(String::as_str), Some("1.6.0"));
}

/// Which of these versions can create a queue themselves. The engine works on these, or this panics.
async fn working_as_plain_sql(versions: &[String]) -> Vec<String> {
    let mut worked = Vec::new();
    for version in versions {
        let database = Database::create().await;
        let c = &mut database.connect().await;
        // Like `create extension`, because functions may call functions that the script creates later.
        execute(c, "create schema pgmq; set check_function_bodies = off").await;
        execute(c, include_str!("pgmq_1.1.1.sql")).await;
        for (to, script) in scripts() {
            // Configuration tables of pg_dump exist only for extensions.
            let script = fs::read_to_string(script).unwrap();
            let is_plain = |line: &&str| !line.contains("pg_extension_config_dump");
            execute(c, &script.lines().filter(is_plain).flat_map(|line| [line, "\n"]).collect::<String>()).await;
            if dotted(&to) == *version {
                break;
            }
        }
        if let Some(error) = own_failure(c).await {
            let is_known = error.contains("extension \"pgmq\" does not exist") || BROKEN.contains(&version.as_str());
            assert!(is_known, "{version}: {error}");
            continue;
        }
        let report = install(&database.options(), InputStyle::Separate).await.unwrap();
        assert_eq!(report.database.pgmq, PgmqState::Sql { version: None, has_headers: true }, "{version}");
        assert_works(c, version).await;
        worked.push(version.clone());
    }
    worked
}
