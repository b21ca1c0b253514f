//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use flowsmith::catalog::FlowId;
use flowsmith::migration::Version;

/// Flows as code for PostgreSQL: check flow files, compile them into migrations, apply them, watch for drift.
#[derive(Debug, Parser)]
#[command(name = "flowsmith", version, max_term_width = 100, after_help = AFTER_HELP, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const AFTER_HELP: &str = "Exit codes: 0 in sync, done · 1 could not do it · 2 changes pending · 3 drift · \
4 invalid definitions · 5 refused by a safety guard · 64 usage.\n\
Settings come from flowsmith.toml, then environment variables, then flags.";

/// What every command takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Read settings from this file instead of ./flowsmith.toml
    #[arg(long, global = true, value_name = "FILE", env = "FLOWSMITH_CONFIG", help_heading = "Settings")]
    pub(crate) config: Option<PathBuf>,
    /// Folder of the flow files [default: flows]
    #[arg(long, global = true, value_name = "DIR", env = "FLOWSMITH_FLOWS", help_heading = "Settings")]
    pub(crate) flows: Option<PathBuf>,
    /// Folder of the migrations [default: migrations]
    #[arg(long, global = true, value_name = "DIR", env = "FLOWSMITH_MIGRATIONS", help_heading = "Settings")]
    pub(crate) migrations: Option<PathBuf>,
    /// The database, as postgres://USER:PASSWORD@HOST:PORT/DATABASE
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "DATABASE_URL",
        hide_env_values = true,
        help_heading = "Settings"
    )]
    pub(crate) database: Option<String>,
    /// The environment: its overrides in flow files, its database in flowsmith.toml
    #[arg(long = "env", global = true, value_name = "NAME", env = "FLOWSMITH_ENV", help_heading = "Settings")]
    pub(crate) environment: Option<String>,
    /// Engine level that the flows must run on: 0.7.2, 0.8.1, 0.14 or auto (what the database has)
    #[arg(long, global = true, value_name = "LEVEL", env = "FLOWSMITH_ENGINE", help_heading = "Settings")]
    pub(crate) engine: Option<String>,
    /// Folder of PostgreSQL's programs, for the embedded server
    #[arg(long, global = true, value_name = "DIR", env = "FLOWSMITH_POSTGRES_BIN", help_heading = "Settings")]
    pub(crate) postgres_bin: Option<PathBuf>,
    /// Print results only, no messages
    #[arg(short, long, global = true, conflicts_with = "verbose", help_heading = "Output")]
    pub(crate) quiet: bool,
    /// Print what is done and how long it takes
    #[arg(short, long, global = true, help_heading = "Output")]
    pub(crate) verbose: bool,
    /// Colours: auto (on a terminal, unless NO_COLOR is set), always, never
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", help_heading = "Output")]
    pub(crate) color: Color,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Set up a project here: settings, one flow, a CI workflow, a pre-commit hook
    Init(InitArgs),
    /// Check flow files, offline: every finding of every file
    Check(CheckArgs),
    /// Write the migration that brings the flow files' changes, offline
    Compile(CompileArgs),
    /// Show what applying the flow files would do to the database
    Plan(ReportArgs),
    /// Run the pending migrations in the database
    Apply(ApplyArgs),
    /// Show what was changed in the database behind git's back
    Drift(ReportArgs),
    /// Show which migrations ran in the database
    Status(StatusArgs),
    /// Adopt a database: write flow files for what it holds, and record them
    Pull(PullArgs),
    /// Install or upgrade the workflow engine in the database
    Install(InstallArgs),
    /// Audit the database: server, engine, rights, and a self-test that is rolled back
    Doctor(DoctorArgs),
    /// Check, compile, install, apply, verify; without a database, on an embedded PostgreSQL
    Up(UpArgs),
    /// Stop the embedded PostgreSQL that `up` left running
    Down,
    /// Print the page about a finding's code, such as FS301
    Explain {
        /// The code
        code: String,
    },
    /// Print the JSON Schema of flow files
    Schema,
    /// Print a completion script for a shell
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Folder to set up
    #[arg(default_value = ".")]
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Check only these files (rules across files still look at all)
    pub(crate) files: Vec<PathBuf>,
    /// How findings are printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: CheckFormat,
    /// Treat warnings as errors
    #[arg(long)]
    pub(crate) strict: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    Text,
    Json,
    Github,
    Sarif,
}

#[derive(Debug, Args)]
pub(crate) struct CompileArgs {
    /// Write nothing; exit with 2 where the migrations are behind the flow files
    #[arg(long, conflicts_with_all = ["rehash", "from_live"])]
    pub(crate) check: bool,
    /// Name of the migration: small letters, digits, underscores [default: made from the changes]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Version of the migration, YYYYMMDDHHMMSS in UTC [default: now]
    #[arg(long, value_name = "VERSION", env = "FLOWSMITH_TIMESTAMP")]
    pub(crate) timestamp: Option<Version>,
    /// Delete this flow version with its queue and its runs; it must be gone from the files
    #[arg(long, value_name = "SLUG@VERSION", value_parser = flow_id)]
    pub(crate) delete: Vec<FlowId>,
    /// Compare with the live database instead of the migrations: writes what brings it back from drift
    #[arg(long)]
    pub(crate) from_live: bool,
    /// Write flowsmith.sum anew from the files as they are (after a merge), and nothing else
    #[arg(long, conflicts_with_all = ["name", "timestamp", "delete", "from_live"])]
    pub(crate) rehash: bool,
}

fn flow_id(text: &str) -> Result<FlowId, String> {
    let (slug, version) = text.split_once('@').unwrap_or((text, "1"));
    match version.parse() {
        Ok(version) if version >= 1 && !slug.is_empty() => Ok(FlowId::new(slug, version)),
        _ => Err("name it as SLUG@VERSION, such as order@2".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// How the report is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: ReportFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    Text,
    Json,
    Markdown,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// How the report is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusFormat {
    Text,
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// Go on where the database is not what was applied to it
    #[arg(long)]
    pub(crate) accept_drift: bool,
    /// Run migrations that are older than the newest applied one
    #[arg(long)]
    pub(crate) out_of_order: bool,
    /// How long to wait for another apply and for locks, such as 10s or 2m
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) lock_timeout: Duration,
    /// How long one migration may take
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(crate) statement_timeout: Duration,
}

/// The same notation as in flow files, but never 0, which would mean "no limit" to PostgreSQL.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        other => return Err(format!("unknown unit `{other}`: use ms, s, m or h")),
    };
    let count: u64 = digits.parse().map_err(|_| "write a number and a unit, such as 10s".to_owned())?;
    match count.checked_mul(unit) {
        Some(millis) if (1..=i32::MAX as u64).contains(&millis) => Ok(Duration::from_millis(millis)),
        _ => Err("from 1ms to 24 days".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// Replace flow files that are there
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Write the flow files only: no migration, nothing recorded in the database
    #[arg(long)]
    pub(crate) files_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// Print the SQL instead of running it
    #[arg(long)]
    pub(crate) print: bool,
    /// What start_tasks gives to workers: separate (level 0.14) or merged (0.7 and 0.8, with the `run` key)
    #[arg(long, value_name = "STYLE")]
    pub(crate) input_style: Option<InputStyle>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputStyle {
    Separate,
    Merged,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// How the report is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Check and apply only; fail where the migrations are behind the flow files
    #[arg(long)]
    pub(crate) no_compile: bool,
}
