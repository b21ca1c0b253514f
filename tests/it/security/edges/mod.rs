//! Robust at the edges: the program gives a clear error or a right answer, never a panic, a part of a file or a wrong success.

mod clocks;
mod databases;
mod disk;
mod process;
mod secrets;
mod text;

use std::process::{Command, Stdio};

use crate::fixture::command::{Outcome, Project};

/// A command of the program that a shell starts after running `prelude`.
fn in_shell(project: &Project, prelude: &str, arguments: &[&str]) -> Command {
    let program = project.command(arguments);
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{prelude}\nexec \"$0\" \"$@\"")).arg(program.get_program()).args(program.get_args());
    command.current_dir(project.path("")).env_clear().stdin(Stdio::null());
    for (name, value) in program.get_envs() {
        if let Some(value) = value {
            command.env(name, value);
        }
    }
    command
}

/// Runs a command to its end. Text that is not UTF-8 is replaced.
fn outcome(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Outcome { code: output.status.code().unwrap_or(-1), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// Asserts that a command ended in order: with an exit code of its own, without a panic, and with a code and a fix if it failed.
fn assert_in_order(case: &str, outcome: &Outcome) {
    assert!(matches!(outcome.code, 0..=5 | 64), "{case}: {outcome}");
    assert!(!outcome.stderr.contains("panicked"), "{case}: {outcome}");
    // A report of the doctor says itself what is wrong.
    if outcome.code == 1 && !outcome.stdout.starts_with("Doctor report") {
        assert!(outcome.stderr.contains("error[FS") && outcome.stderr.contains("= help: "), "{case}: {outcome}");
    }
}
