//! The program itself, run in a project folder of a test's own with nothing of this machine's environment but the path.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use flowsmith_postgres::engine::install::{InputStyle, install};
use tempfile::TempDir;

use crate::official::{Official, official_install};
use crate::support::Database;

/// A project folder.
pub(crate) struct Project {
    folder: TempDir,
    variables: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Project {
    /// An empty folder and no database.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("flows")).unwrap();
        Self { folder, variables: Vec::new() }
    }

    /// An empty folder and a database to work on.
    pub(crate) fn on(database: &Database) -> Self {
        Self::new().with("DATABASE_URL", &database.url())
    }

    /// Sets a variable for every command.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Where a file of it is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file; folders are made.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Writes `flows/<slug>.yaml` with a flow of these steps: the lines under `steps:`, and whatever goes before them.
    pub(crate) fn flow(&self, slug: &str, head: &str, steps: &str) {
        self.write(&format!("flows/{slug}.yaml"), &format!("flow: {slug}\n{head}\nsteps:\n{steps}\n"));
    }

    pub(crate) fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// File names of the migrations, oldest first.
    pub(crate) fn migrations(&self) -> Vec<String> {
        sql_files(&self.path("migrations"))
    }

    /// A command that has not started.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_flowsmith"));
        command.args(arguments).current_dir(self.folder.path()).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", self.folder.path());
        command.envs(self.variables.iter().map(|(name, value)| (name, value))).stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let outcome = Outcome {
            code: output.status.code().unwrap_or(-1),
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        assert!(!outcome.both().contains('\u{1b}'), "no colours where there is no terminal: {outcome:?}");
        outcome
    }

    /// Runs a command that must do what it was asked to.
    pub(crate) fn done(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, 0, "{arguments:?}: {outcome}");
        outcome
    }

    /// Runs a command that must end with this exit code, and gives everything that it said.
    pub(crate) fn ends(&self, code: i32, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, code, "{arguments:?}: {outcome}");
        outcome.both()
    }

    /// Starts a command, to be killed or waited for.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Compiles the flow files as they are into a migration of a later time than any before, and gives its file name.
    pub(crate) fn compile(&self) -> String {
        self.done(&["compile"]);
        self.migrations().pop().unwrap()
    }
}

impl Outcome {
    /// Everything that it said.
    pub(crate) fn both(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n--- stdout\n{}\n--- stderr\n{}", self.code, self.stdout, self.stderr)
    }
}

/// Names of a folder's SQL files, in order.
pub(crate) fn sql_files(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.ends_with(".sql"));
    names.sort();
    names
}

/// A database with flowsmith's engine and an empty ledger.
pub(crate) async fn ours() -> Database {
    Database::from_template("ours", async |options| {
        install(&options, InputStyle::Separate).await.unwrap();
    })
    .await
}

/// A database with pgflow's own engine, level 0.8.1, and an empty ledger.
pub(crate) async fn official() -> Database {
    Database::from_template("official", async |options| {
        official_install(&options, Official::V0_8_1).await;
        install(&options, InputStyle::Separate).await.unwrap();
    })
    .await
}

/// The same at level 0.7.2.
pub(crate) async fn official_old() -> Database {
    Database::from_template("official_old", async |options| {
        official_install(&options, Official::V0_7_2).await;
        install(&options, InputStyle::Separate).await.unwrap();
    })
    .await
}

/// Runs a file as its header says: `psql -1 -f`.
pub(crate) fn psql(database: &Database, file: &Path) -> Result<(), String> {
    let output = Command::new("psql")
        .args(["-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-v", "VERBOSITY=verbose", "-f"])
        .arg(file)
        .arg(database.url())
        .output()
        .unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8(output.stderr).unwrap()) }
}
