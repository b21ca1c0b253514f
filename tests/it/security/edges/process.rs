//! The surroundings of a process: descriptors, variables, streams, folders and names.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;

use super::{assert_in_order, in_shell, outcome};
use crate::fixture::command::{Project, flowsmith_engine};

/// A project with a flow.
fn project() -> Project {
    let project = Project::new();
    project.flow("order", "", "  load: {}\n  ship: { depends_on: [load] }");
    project
}

/// Reading commands, writing ones, and one with many threads.
const OFFLINE: [&[&str]; 7] = [
    &["check"],
    &["compile"],
    &["compile", "--check"],
    &["graph", "order"],
    &["graph", "order", "-o", "order.html"],
    &["explain"],
    &["init", "new"],
];

#[test]
fn odd_surroundings_do_not_matter() {
    for prelude in [
        "unset HOME TERM LANG PATH",
        "export TERM=dumb LANG=C LC_ALL=C",
        "export TERM='\\033[31m' COLUMNS=-1 LANG=xx_XX.nonsense",
        "export COLUMNS=99999999999999999999 NO_COLOR= CLICOLOR=x CLICOLOR_FORCE=0",
        "export COLUMNS=1",
        "export HOME=/nonexistent TMPDIR=/nonexistent",
        "export RUST_LOG=trace RUST_BACKTRACE=full",
        "ulimit -n 10",
        "exec 0<&-",
    ] {
        let project = project();
        for arguments in OFFLINE {
            let ended = outcome(&mut in_shell(&project, prelude, arguments));
            let expected = if arguments.contains(&"--check") { [0, 2] } else { [0, 0] };
            assert!(expected.contains(&ended.code), "{prelude}: {arguments:?}: {ended}");
        }
    }
}

/// The streams of a process may be closed; a file that it opens must not take their place and receive its messages.
#[test]
fn closed_streams_do_not_damage_files() {
    for prelude in ["exec 1>&-", "exec 2>&-", "exec 0<&- 1>&- 2>&-", "exec 1>&- 2>&-"] {
        let project = project();
        for arguments in OFFLINE {
            assert_in_order(
                &format!("{prelude}: {arguments:?}"),
                &outcome(&mut in_shell(&project, prelude, arguments)),
            );
        }
        // The files are as they should be.
        let whole = self::project();
        whole.compile();
        let sql = |project: &Project| project.read(&format!("migrations/{}", project.migrations()[0]));
        assert_eq!(sql(&project).len(), sql(&whole).len(), "{prelude}");
        whole.succeeds(&["graph", "order", "-o", "order.html"]);
        assert_eq!(project.read("order.html"), whole.read("order.html"), "{prelude}");
        project.succeeds(&["compile", "--check"]);
    }
}

#[test]
fn few_descriptors_are_an_error_or_enough() {
    for descriptors in 3..12 {
        let project = project();
        for arguments in OFFLINE {
            let ended = outcome(&mut in_shell(&project, &format!("ulimit -n {descriptors}"), arguments));
            // The loader of the system cannot even load the program.
            if ended.code == 127 {
                continue;
            }
            assert_in_order(&format!("{descriptors} descriptors: {arguments:?}"), &ended);
        }
        project.succeeds(&["compile"]);
        project.succeeds(&["compile", "--check"]);
    }
}

#[tokio::test]
async fn few_descriptors_are_an_error_or_enough_for_a_connection() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    project.flow("order", "", "  load: { handler: { sql: \"select 1\" } }");
    project.compile();
    for descriptors in 4..11 {
        for arguments in [&["status"][..], &["plan"], &["apply"], &["doctor"], &["runs"]] {
            let ended = outcome(&mut in_shell(&project, &format!("ulimit -n {descriptors}"), arguments));
            if ended.code != 127 {
                assert_in_order(&format!("{descriptors} descriptors: {arguments:?}"), &ended);
            }
        }
    }
    // The worker needs more, and says so instead of running without its parts.
    let prelude = "ulimit -n 10";
    let ended = outcome(&mut in_shell(&project, prelude, &["apply"]));
    assert_eq!(ended.code, 0, "{ended}");
}

#[test]
fn deleted_working_directory_is_an_error_or_does_not_matter() {
    let project = project();
    project.write("gone/x", "");
    let prelude = "cd gone && rm -r ../gone";
    for arguments in OFFLINE {
        let ended = outcome(&mut in_shell(&project, prelude, arguments));
        assert_in_order(&format!("{arguments:?}"), &ended);
        fs::create_dir_all(project.path("gone")).unwrap();
    }
}

#[test]
fn unwritable_folders_are_named() {
    if rustix::process::geteuid().is_root() && std::process::Command::new("setpriv").arg("--version").output().is_err()
    {
        return crate::shared::skip("root may write everywhere, and there is no setpriv");
    }
    let project = project();
    fs::set_permissions(project.path(""), fs::Permissions::from_mode(0o555)).unwrap();
    for (arguments, file) in [
        (&["compile"][..], "migrations"),
        (&["graph", "order", "-o", "order.svg"], "order.svg"),
        (&["init"], "flowsmith.toml"),
    ] {
        let mut command = in_shell(&project, "", arguments);
        if rustix::process::geteuid().is_root() {
            let inner = in_shell(&project, "", arguments);
            command = std::process::Command::new("setpriv");
            command
                .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
                .arg(inner.get_program())
                .args(inner.get_args());
            command.current_dir(project.path("")).env_clear();
        }
        let ended = outcome(&mut command);
        // The program may be in a folder that others may not enter.
        if ended.stderr.contains("flowsmith: Permission denied") || ended.code == 126 {
            fs::set_permissions(project.path(""), fs::Permissions::from_mode(0o755)).unwrap();
            return crate::shared::skip("another user may not run the program");
        }
        assert_eq!(ended.code, 1, "{arguments:?}: {ended}");
        assert!(
            ended.stderr.contains("error[FS801]: cannot ") && ended.stderr.contains(file),
            "{arguments:?}: {ended}"
        );
    }
    fs::set_permissions(project.path(""), fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn any_umask_is_respected() {
    for (umask, mode) in [("077", 0o600), ("000", 0o666), ("027", 0o640), ("777", 0o000)] {
        let project = project();
        for arguments in [&["compile"][..], &["graph", "order", "-o", "order.svg"]] {
            let ended = outcome(&mut in_shell(&project, &format!("umask {umask}"), arguments));
            assert_in_order(&format!("{umask}: {arguments:?}"), &ended);
            if ended.code == 0 {
                let written = if arguments[0] == "compile" { "migrations/flowsmith.sum" } else { "order.svg" };
                let written = fs::metadata(project.path(written)).unwrap().permissions().mode() & 0o777;
                assert_eq!(written, mode, "{umask}: {arguments:?}");
            }
        }
        let _ = fs::set_permissions(project.path("migrations"), fs::Permissions::from_mode(0o755));
    }
    // A file that is replaced keeps its mode.
    let project = project();
    project.write("order.svg", "old");
    fs::set_permissions(project.path("order.svg"), fs::Permissions::from_mode(0o640)).unwrap();
    project.succeeds(&["graph", "order", "-o", "order.svg"]);
    assert_eq!(fs::metadata(project.path("order.svg")).unwrap().permissions().mode() & 0o777, 0o640);
}

#[test]
fn any_name_of_a_file_works_or_is_refused() {
    for name in [
        &b"a b"[..],
        b"it's",
        b"\"q\"",
        b"a\nb",
        b"-x",
        b"$(touch x)",
        b"*",
        "größe\u{301}".as_bytes(),
        b"\xff\xfe",
        b"a;b",
        b"#",
        b"%41",
    ] {
        let project = Project::new();
        let name = std::ffi::OsStr::from_bytes(name);
        let inner = project.path("").join(name);
        fs::create_dir_all(inner.join("flows")).unwrap();
        fs::write(inner.join("flows/order.yaml"), "flow: order\nsteps: { load: {} }\n").unwrap();
        for arguments in OFFLINE {
            let ended = outcome(project.command(arguments).current_dir(&inner));
            assert_in_order(&format!("{name:?}: {arguments:?}"), &ended);
            let expected = if arguments.contains(&"--check") { [0, 2] } else { [0, 0] };
            assert!(expected.contains(&ended.code), "{name:?}: {arguments:?}: {ended}");
        }
        // As the name of a flow file, of a picture and of folders.
        let mut file = name.to_owned();
        file.push(".yaml");
        fs::write(inner.join("flows").join(file), "flow: other\nsteps: { load: {} }\n").unwrap();
        let ended = outcome(project.command(&["check"]).current_dir(&inner));
        assert_in_order(&format!("{name:?}"), &ended);
        let mut picture = name.to_owned();
        picture.push(".svg");
        // With `=`, because the name may begin with a dash.
        let mut output = std::ffi::OsString::from("--output=");
        output.push(&picture);
        let ended = outcome(project.command(&["graph", "order"]).arg(&output).current_dir(&inner));
        assert_in_order(&format!("{name:?}"), &ended);
        assert!(ended.code == 0 && inner.join(&picture).exists(), "{name:?}: {ended}");
    }
}
