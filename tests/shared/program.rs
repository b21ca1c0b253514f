//! Runs the program without the environment variables that it reads.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The output and exit code of a run.
#[derive(Debug)]
pub(crate) struct ProgramOutput {
    pub(crate) exit: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The program in a working directory.
pub(crate) struct Program {
    folder: PathBuf,
}

impl Program {
    pub(crate) fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    /// Runs the program with arguments.
    pub(crate) fn run(&self, arguments: &[&str]) -> ProgramOutput {
        let mut command = Command::new(program());
        command.args(arguments);
        self.finish(command)
    }

    /// Runs a shell command in which `flowsmith` is the program.
    pub(crate) fn shell(&self, line: &str) -> ProgramOutput {
        let mut command = Command::new("sh");
        let path = std::env::var("PATH").unwrap_or_default();
        let folder = program().parent().map(Path::to_path_buf).unwrap_or_default();
        command.args(["-c", line]).env("PATH", format!("{}:{path}", folder.display()));
        self.finish(command)
    }

    fn finish(&self, mut command: Command) -> ProgramOutput {
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let heeded = ["DATABASE_URL", "COLUMNS", "NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"];
            if name.starts_with("FLOWSMITH_") || name.starts_with("PG") || heeded.contains(&name.as_str()) {
                command.env_remove(name);
            }
        }
        let output = command
            .env("FLOWSMITH_POSTGRES_BIN", &super::binaries().dir)
            // The embedded server goes with the folder.
            .env("XDG_STATE_HOME", self.folder.join(".state"))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        ProgramOutput {
            exit: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// The path of the built program.
fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_flowsmith"))
}

/// The groups of commands in the help, each with its heading.
pub(crate) fn groups_of_the_help(program: &Program) -> Vec<(String, Vec<String>)> {
    let help = program.run(&["--help"]).stdout;
    let (list, _) = help.split_once("\n\nOptions:\n").expect("a list of options");
    let groups = list.split("\n\n").filter_map(|group| group.split_once(":\n"));
    let name = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
    groups.map(|(heading, list)| (heading.to_owned(), list.lines().map(name).collect())).collect()
}

/// Every command in the order of the help, except `help`.
pub(crate) fn commands(program: &Program) -> Vec<String> {
    groups_of_the_help(program).into_iter().flat_map(|(_, names)| names).filter(|name| name != "help").collect()
}
