//! Arguments of the commands that check, compile and deploy flows.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use flowsmith_core::catalog::FlowId;
use flowsmith_core::migration::Version;
use flowsmith_postgres::engine::roles::RolePrefix;

use super::{StatusFormat, duration};

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// Folder to set up
    #[arg(default_value = ".")]
    pub(crate) directory: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct UpArgs {
    /// Write no migration; exit with 2 if one is needed
    #[arg(long)]
    pub(crate) no_compile: bool,
    /// Print only the URL of the embedded database
    #[arg(long)]
    pub(crate) url: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Files to check [default: all files of the project]
    pub(crate) files: Vec<PathBuf>,
    /// text (default), json, github or sarif
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
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
    /// Write nothing; exit with 2 if a migration is needed
    #[arg(long, conflicts_with_all = ["rehash", "from_live"])]
    pub(crate) check: bool,
    /// Name of the migration [default: derived from its changes]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Version, YYYYMMDDHHMMSS [default: now] [env: FLOWSMITH_TIMESTAMP]
    #[arg(long, value_name = "UTC", env = "FLOWSMITH_TIMESTAMP", hide_env = true)]
    pub(crate) timestamp: Option<Version>,
    /// Delete a version that the files no longer hold, with its runs
    #[arg(long, value_name = "SLUG@VERSION", value_parser = flow_id)]
    pub(crate) delete: Vec<FlowId>,
    /// Compile against the database itself, which reverts drift
    #[arg(long)]
    pub(crate) from_live: bool,
    /// Only rewrite flowsmith.sum, for example after a merge
    #[arg(long, conflicts_with_all = ["name", "timestamp", "delete", "from_live"])]
    pub(crate) rehash: bool,
    /// Accept migrations that are not as compiled
    #[arg(long)]
    pub(crate) allow_edited: bool,
}

fn flow_id(text: &str) -> Result<FlowId, String> {
    let (slug, version) = text.split_once('@').unwrap_or((text, "1"));
    match version.parse() {
        Ok(version) if version >= 1 && !slug.is_empty() => Ok(FlowId::new(slug, version)),
        _ => Err("name it as SLUG@VERSION, such as order@2".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// text (default), json, markdown or html
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: PlanFormat,
    /// Accept migrations that are not as compiled
    #[arg(long)]
    pub(crate) allow_edited: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    Text,
    Json,
    Markdown,
    Html,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// Continue if the database has drifted
    #[arg(long)]
    pub(crate) accept_drift: bool,
    /// Also apply migrations older than the newest applied one
    #[arg(long)]
    pub(crate) out_of_order: bool,
    /// Maximum wait for a lock
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = duration)]
    pub(crate) lock_timeout: Duration,
    /// Maximum time for a statement of a migration
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(crate) statement_timeout: Duration,
    /// Accept migrations that are not as compiled
    #[arg(long)]
    pub(crate) allow_edited: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// text (default), json or markdown
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: ReportFormat,
    /// Accept migrations that are not as compiled
    #[arg(long)]
    pub(crate) allow_edited: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    Text,
    Json,
    Markdown,
}

#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// text (default) or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
    /// Accept migrations that are not as compiled
    #[arg(long)]
    pub(crate) allow_edited: bool,
}

#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    /// Overwrite flow files that differ
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Write only flow files: no migration, no ledger entry
    #[arg(long)]
    pub(crate) files_only: bool,
}

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// Print the SQL instead of running it
    #[arg(long)]
    pub(crate) print: bool,
    /// Also create or update the roles for each kind of work
    #[arg(long)]
    pub(crate) grants: bool,
    /// Prefix of the role names
    #[arg(long, value_name = "PREFIX", default_value = "flowsmith", requires = "grants", value_parser = RolePrefix::new)]
    pub(crate) role_prefix: RolePrefix,
    /// Form of task inputs: separate (default, level 0.14) or merged (0.8)
    #[arg(long, value_name = "STYLE", hide_possible_values = true)]
    pub(crate) input_style: Option<InputStyle>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputStyle {
    Separate,
    Merged,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// text (default) or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}
