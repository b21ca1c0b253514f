//! Links, pipes, devices and large files in the place of the files of a project.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::shared::program::{Program, ProgramOutput};

const SECRET: &str = "flow: s3cret\nsteps: { s3cret: {} }\n";
const FLOW: &str = "flow: order\nsteps: { load: {}, ship: { depends_on: [load] } }\n";

/// A project beside a folder with a secret, in the state after `compile`.
struct Attack {
    folder: tempfile::TempDir,
}

impl Attack {
    fn new() -> Self {
        let attack = Self { folder: tempfile::tempdir().unwrap() };
        fs::create_dir_all(attack.project().join("flows")).unwrap();
        fs::create_dir(attack.outside()).unwrap();
        fs::write(attack.outside().join("secret.yaml"), SECRET).unwrap();
        fs::write(attack.project().join("flowsmith.toml"), "flows = \"flows\"\n").unwrap();
        fs::write(attack.project().join("flows/order.yaml"), FLOW).unwrap();
        let compiled = attack.run("compile --timestamp 20260101000000 --name one");
        assert_eq!(compiled.exit, Some(0), "{compiled:?}");
        attack
    }

    fn project(&self) -> PathBuf {
        self.folder.path().join("project")
    }

    fn outside(&self) -> PathBuf {
        self.folder.path().join("outside")
    }

    /// Runs the program with a secret in its environment. A program that blocks on a pipe is killed, and has no exit code of its
    /// own.
    fn run(&self, arguments: &str) -> ProgramOutput {
        Program::in_folder(self.project())
            .shell(&format!("TOKEN=s3cret timeout --signal=KILL 100 flowsmith {arguments} </dev/null"))
    }

    /// Replaces a file of the project with the trap that `set` builds at its path.
    fn replace(&self, file: &str, set: impl FnOnce(&Path)) {
        let path = self.project().join(file);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap()
        } else {
            fs::remove_file(&path).unwrap_or_default()
        }
        set(&path);
    }

    /// Runs a command that must refuse the file.
    #[track_caller]
    fn assert_refused(&self, arguments: &str, code: &str) {
        let output = self.run(arguments);
        let printed = format!("{}{}", output.stdout, output.stderr);
        assert!(matches!(output.exit, Some(1 | 4 | 5)), "{arguments}: {output:?}");
        assert!(printed.contains(code), "{arguments}: not {code}: {output:?}");
        assert!(printed.contains("help"), "{arguments}: no fix: {output:?}");
        assert!(!printed.contains("s3cret"), "{arguments}: prints the secret: {output:?}");
    }
}

/// Each file that the program reads, the command that reads it, and the codes for a path that leads outside, for a file that is
/// not regular, and for a file that is too large.
const FILES: [(&str, &str, [&str; 3]); 6] = [
    ("flowsmith.toml", "check", ["FS841", "FS842", "FS843"]),
    ("flows/order.yaml", "check", ["FS018", "FS001", "FS003"]),
    ("flows/order.yaml", "graph order", ["FS018", "FS001", "FS003"]),
    ("migrations/20260101000000_one.sql", "compile --check", ["FS841", "FS842", "FS843"]),
    ("migrations/20260101000000_one.sql", "compile --rehash", ["FS841", "FS842", "FS843"]),
    ("migrations/flowsmith.sum", "compile --check", ["FS841", "FS842", "FS843"]),
];

#[test]
fn links_out_of_the_project_are_refused() {
    for (file, command, [outside, ..]) in FILES {
        let attack = Attack::new();
        let secret = attack.outside().join("secret.yaml");
        let relative =
            Path::new("..").join(if file.contains('/') { "../outside" } else { "outside" }).join("secret.yaml");
        for target in [secret.as_path(), &relative, Path::new("/proc/self/environ"), Path::new("/dev/zero")] {
            attack.replace(file, |path| symlink(target, path).unwrap());
            attack.assert_refused(command, outside);
        }
    }
}

#[test]
fn links_to_a_link_out_of_the_project_are_refused() {
    let attack = Attack::new();
    symlink("../outside", attack.project().join("vendor")).unwrap();
    attack.replace("flows/order.yaml", |path| symlink("../vendor/secret.yaml", path).unwrap());
    attack.assert_refused("check", "FS018");
}

#[test]
fn pipes_sockets_and_folders_are_refused_without_waiting() {
    for (file, command, [_, not_regular, _]) in FILES {
        let attack = Attack::new();
        attack.replace(file, |path| {
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            rustix::fs::mkfifoat(rustix::fs::CWD, path, mode).unwrap();
        });
        attack.assert_refused(command, not_regular);
        // The path of a socket is limited to about a hundred bytes, so that it is made elsewhere.
        attack.replace(file, |path| {
            let short = attack.folder.path().join("s");
            drop(UnixListener::bind(&short).unwrap());
            fs::rename(short, path).unwrap();
        });
        attack.assert_refused(command, not_regular);
        attack.replace(file, |path| fs::create_dir(path).unwrap());
        attack.assert_refused(command, not_regular);
    }
}

#[test]
fn sizes_are_limited() {
    for (file, command, [_, _, too_large]) in FILES {
        let attack = Attack::new();
        attack.replace(file, |path| fs::File::create(path).unwrap().set_len(1 << 40).unwrap());
        attack.assert_refused(command, too_large);
    }
}

#[test]
fn links_that_lead_nowhere_are_not_missing_files() {
    for (file, command, code) in [
        ("flowsmith.toml", "check", "FS821"),
        ("flows/order.yaml", "check", "FS001"),
        ("flows/shared", "check", "FS001"),
        ("migrations/20260101000000_one.sql", "compile --check", "FS801"),
        ("migrations/flowsmith.sum", "compile --check", "FS801"),
        ("migrations", "compile --check", "FS801"),
    ] {
        let attack = Attack::new();
        attack.replace(file, |path| symlink("nowhere", path).unwrap());
        attack.assert_refused(command, code);
        attack.replace(file, |path| symlink(path.file_name().unwrap(), path).unwrap());
        attack.assert_refused(command, code);
    }
}

#[test]
fn folders_out_of_the_project_are_refused() {
    let attack = Attack::new();
    for (folder, command, code) in [("flows", "check", "FS018"), ("migrations", "compile --check", "FS841")] {
        attack.replace(folder, |path| symlink("../outside", path).unwrap());
        attack.assert_refused(command, code);
    }
    let attack = Attack::new();
    symlink("../../outside", attack.project().join("flows/shared")).unwrap();
    attack.assert_refused("check", "FS018");
    fs::remove_file(attack.project().join("flows/shared")).unwrap();
    for folder in ["../outside", attack.outside().to_str().unwrap(), "flows/../../outside"] {
        for key in ["flows", "migrations"] {
            fs::write(attack.project().join("flowsmith.toml"), format!("{key} = \"{folder}\"\n")).unwrap();
            attack.assert_refused("check", "FS841");
        }
    }
    // The command line is not part of the repository.
    fs::remove_file(attack.project().join("flowsmith.toml")).unwrap();
    assert_eq!(attack.run("check --flows ../outside").exit, Some(0));
    assert_eq!(attack.run(&format!("check --flows {}", attack.outside().display())).exit, Some(0));
    attack.assert_refused("check ../outside/secret.yaml", "FS018");
}

#[test]
fn links_inside_the_project_are_followed() {
    let attack = Attack::new();
    for (file, target) in [("flows/order.yaml", "../files/order.yaml"), ("flowsmith.toml", "files/settings")] {
        fs::create_dir_all(attack.project().join("files")).unwrap();
        let name = Path::new(target).file_name().unwrap();
        fs::rename(attack.project().join(file), attack.project().join("files").join(name)).unwrap();
        symlink(target, attack.project().join(file)).unwrap();
    }
    fs::rename(attack.project().join("migrations"), attack.project().join("files/migrations")).unwrap();
    symlink(attack.project().join("files/migrations"), attack.project().join("migrations")).unwrap();
    for command in ["check", "compile --check", "graph order"] {
        let output = attack.run(command);
        assert_eq!(output.exit, Some(0), "{command}: {output:?}");
    }
}

#[test]
fn written_files_follow_no_link() {
    let attack = Attack::new();
    let precious = attack.outside().join("precious");
    fs::write(&precious, "precious").unwrap();
    let trap = |name: &str| symlink(&precious, attack.project().join(name)).unwrap();

    trap("migrations/flowsmith.sum.tmp");
    trap("migrations/20270101000000_two.sql.tmp");
    fs::write(attack.project().join("flows/more.yaml"), "flow: more\nsteps: { load: {} }\n").unwrap();
    let output = attack.run("compile --timestamp 20270101000000 --name two");
    assert_eq!(output.exit, Some(0), "{output:?}");
    assert!(!attack.project().join("migrations/20270101000000_two.sql").is_symlink());

    trap("order.svg");
    attack.assert_refused("graph order -o order.svg", "FS842");
    attack.assert_refused("graph order -o \"$PWD/order.svg\"", "FS842");
    symlink("../outside", attack.project().join("pictures")).unwrap();
    attack.assert_refused("graph order -o pictures/order.svg", "FS841");
    assert_eq!(attack.run("graph order -o flow.svg").exit, Some(0));
    assert!(attack.run("graph order -o /dev/stdout --format svg").stdout.contains("<svg"));

    symlink("../outside", attack.project().join(".github")).unwrap();
    attack.assert_refused("init", "FS841");
    assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
    let mut names: Vec<_> = fs::read_dir(attack.outside()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["precious", "secret.yaml"]);
}

#[test]
fn names_that_cannot_be_printed_are_reported() {
    for name in [&b"a\nb.yaml"[..], b"a\x1b[2Jb.yaml", b"\xff.yaml", "a\u{202e}b.yaml".as_bytes(), b"a\rb"] {
        let attack = Attack::new();
        let path = attack.project().join("flows").join(OsStr::from_bytes(name));
        if name.ends_with(b".yaml") {
            fs::write(path, FLOW).unwrap()
        } else {
            fs::create_dir(path).unwrap()
        }
        let output = attack.run("check");
        assert_eq!(output.exit, Some(4), "{output:?}");
        assert!(output.stdout.contains("FS019"), "{output:?}");
        assert!(!output.stdout.contains(['\r', '\u{1b}', '\u{202e}']), "{output:?}");
    }
    let attack = Attack::new();
    fs::write(attack.project().join("migrations/20270101000000_a\nb.sql"), "select 1;").unwrap();
    attack.assert_refused("compile --check", "FS802");
}

#[test]
fn settings_with_a_long_line_are_quoted_in_part() {
    let attack = Attack::new();
    fs::write(attack.project().join("flowsmith.toml"), format!("flows = \"{}\n", "x".repeat(500_000))).unwrap();
    let output = attack.run("check");
    assert_eq!(output.exit, Some(1), "{output:?}");
    assert!(output.stderr.contains("FS822") && output.stderr.len() < 2000, "{} bytes", output.stderr.len());
}
