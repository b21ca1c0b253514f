//! Arguments of the commands that start, show and control runs.

use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use flowsmith_postgres::runs::RunPrefix;
use flowsmith_postgres::runs::RunStatus;

use super::StatusFormat;

/// How durations of runs are measured.
pub(super) const TIMED: &str = "The duration of a retried run starts at its last `retry`.";

/// The columns of `queues`.
pub(super) const COUNTED: &str = "WAITING    messages that a worker can claim now
LONGEST    the longest time that one of them has waited
DELAYED    messages held back by a start delay, a retry or a pause
IN FLIGHT  tasks that workers are running
OLDEST     the age of the oldest message";

/// The columns of `stats`.
pub(super) const MEASURED: &str = "P50, P95 and MAX are durations of completed runs. WAITING counts the messages
that a worker can claim now; LONGEST is the longest wait among them.
The duration of a retried run starts at its last `retry`.";

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Flow, such as order, or a version: order@2 or order_v2
    pub(crate) flow: String,
    /// Input of the run: JSON, @FILE, or - for standard input
    #[arg(long, short, value_name = "JSON", default_value = "{}", allow_hyphen_values = true)]
    pub(crate) input: String,
    /// Id for the run, a UUID; an id in use is refused (FS967)
    #[arg(long, value_name = "UUID", value_parser = whole_id)]
    pub(crate) run_id: Option<RunPrefix>,
    /// Wait for the run to end; exit with 1 if it fails
    #[arg(long, short)]
    pub(crate) wait: bool,
    /// Maximum wait; then exit with 1 (FS975) while the run continues
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = super::duration)]
    pub(crate) timeout: Option<Duration>,
    /// text (default) or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

fn whole_id(text: &str) -> Result<RunPrefix, String> {
    let id: RunPrefix = text.parse()?;
    if id.whole().is_some() { Ok(id) } else { Err("a new run's id is a whole UUID, 32 hexadecimal digits".to_owned()) }
}

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// Only runs of this flow, or of a version such as order@2
    pub(crate) flow: Option<String>,
    /// Only runs that are started, completed, failed or cancelled
    #[arg(long, value_name = "STATUS", hide_possible_values = true, value_parser = status())]
    pub(crate) status: Option<RunStatus>,
    /// Only failed runs; short for --status failed
    #[arg(long, conflicts_with = "status")]
    pub(crate) failed: bool,
    /// Only running runs and those that ended within 90s, 1h, 7d, …
    #[arg(long, value_name = "TIME", value_parser = age, allow_hyphen_values = true)]
    pub(crate) since: Option<Duration>,
    /// Maximum number of runs
    #[arg(long, short = 'n', value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    /// Refresh every 2 seconds until Ctrl-C
    #[arg(long, short)]
    pub(crate) watch: bool,
    /// text (default) or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

/// Parses a status; help and completions list the possible values.
fn status() -> impl TypedValueParser<Value = RunStatus> {
    PossibleValuesParser::new(RunStatus::ALL.iter().map(|status| status.as_str()))
        .try_map(|word| word.parse::<RunStatus>())
}

/// Parses the durations of flow files, but requires a unit.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    if text.starts_with('-') {
        return Err("a time that lies ahead has not come yet: write it without the minus, such as 1d".to_owned());
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        // Most people would read `--older-than 30` as days, and the runs would be deleted.
        "" => return Err("write a unit too, such as 12h or 30d".to_owned()),
        "d" => 86_400,
        "w" => 604_800,
        other => return Err(format!("unknown unit `{other}`: use s, m, h, d or w")),
    };
    let count: u64 = digits.parse().map_err(|_| "write a number and a unit, such as 7d".to_owned())?;
    match count.checked_mul(unit) {
        // PostgreSQL's timestamps have a smaller range than its intervals.
        Some(seconds) if seconds <= 100 * 366 * 86_400 => Ok(Duration::from_secs(seconds)),
        _ => Err("a hundred years at most".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Id of the run, or a unique prefix of it
    pub(crate) run: RunPrefix,
    /// Do not shorten inputs, outputs, errors and tasks
    #[arg(long)]
    pub(crate) full: bool,
    /// text (default) or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Id of the run, or a unique prefix of it
    pub(crate) run: RunPrefix,
    /// Maximum time to follow it [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    pub(crate) timeout: Option<Duration>,
    /// text (default) or json, one object per line
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct QueuesArgs {
    /// Only this flow, or a version such as order@2
    pub(crate) flow: Option<String>,
    /// text (default) or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct WorkersArgs {
    /// Only this flow, or a version such as order@2
    pub(crate) flow: Option<String>,
    /// Include workers that have stopped or been silent for a day
    #[arg(long)]
    pub(crate) all: bool,
    /// text (default) or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct StalledArgs {
    /// Only this flow, or a version such as order@2
    pub(crate) flow: Option<String>,
    /// Minimum time without progress, such as 90s or 1h
    #[arg(long = "for", value_name = "TIME", default_value = "1m", value_parser = age, allow_hyphen_values = true)]
    pub(crate) at_least: Duration,
    /// First requeue tasks that have exceeded their timeout
    #[arg(long)]
    pub(crate) requeue: bool,
    /// text (default) or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// Id of the run, or a unique prefix of it
    pub(crate) run: RunPrefix,
    /// Wait for the run to end; exit with 1 if it fails
    #[arg(long, short)]
    pub(crate) wait: bool,
    /// Maximum wait; then exit with 1 (FS975) while the run continues
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = super::duration)]
    pub(crate) timeout: Option<Duration>,
    /// text (default) or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// Id of the run, or a unique prefix of it
    pub(crate) run: RunPrefix,
    /// Reason, stored with the run and sent to its watchers
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// text (default) or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// Flow, with all versions, or one version: order@2 or order_v2
    pub(crate) flow: String,
    /// text (default) or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Only runs of this flow, or of a version such as order@2
    pub(crate) flow: Option<String>,
    /// Minimum time since the end of the run, such as 12h or 30d
    #[arg(long, value_name = "TIME", value_parser = age, allow_hyphen_values = true)]
    pub(crate) older_than: Duration,
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// text (default) or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// Only this flow, or a version such as order@2, with its steps
    pub(crate) flow: Option<String>,
    /// Period of the statistics, such as 90s, 1h or 7d
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = age, allow_hyphen_values = true)]
    pub(crate) since: Duration,
    /// text (default) or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct RetireArgs {
    /// Versions to delete, such as order@1 [default: list them all]
    #[arg(value_name = "FLOW")]
    pub(crate) versions: Vec<String>,
    /// Wait until the versions are drained
    #[arg(long, short, requires = "versions")]
    pub(crate) wait: bool,
    /// Maximum wait [default: no limit]
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = super::duration)]
    pub(crate) timeout: Option<Duration>,
    /// Do not ask for confirmation
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// text (default) or json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}
