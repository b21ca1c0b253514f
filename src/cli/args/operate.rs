//! Arguments of the commands that operate flows.

use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use flowsmith_postgres::runs::RunPrefix;
use flowsmith_postgres::runs::RunStatus;

use super::StatusFormat;

/// What durations of runs mean.
pub(super) const TIMED: &str = "A run is timed to its end, or to now; one that was retried, from its last `retry` on.";

/// What the columns of queues count.
pub(super) const COUNTED: &str = "WAITING    messages that a worker could take now
LONGEST    how long the first of them has waited
DELAYED    messages that come later: start delay, retry, pause
IN FLIGHT  tasks that workers have in hand
OLDEST     how long ago the oldest message was sent";

/// What the columns of statistics mean.
pub(super) const MEASURED: &str = "P50, P95 and MAX are of completed runs. WAITING counts messages that a
worker could take now, LONGEST is how long the first of them has waited.
A run that was retried is timed from its last `retry` on.";

#[derive(Debug, Args)]
pub(crate) struct StartArgs {
    /// Flow, as order; or one version of it, as order@2 or order_v2
    pub(crate) flow: String,
    /// JSON, or @FILE, or - for standard input
    #[arg(long, short, value_name = "JSON", default_value = "{}", allow_hyphen_values = true)]
    pub(crate) input: String,
    /// Id for the run, a UUID: a second start with it is refused, FS967
    #[arg(long, value_name = "UUID", value_parser = whole_id)]
    pub(crate) run_id: Option<RunPrefix>,
    /// Follow the run to its end; exit with 1 where it fails
    #[arg(long, short)]
    pub(crate) wait: bool,
    /// With --wait: give up after this, with FS975 and exit 1; it goes on
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = super::duration)]
    pub(crate) timeout: Option<Duration>,
    /// text (the default), json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

fn whole_id(text: &str) -> Result<RunPrefix, String> {
    let id: RunPrefix = text.parse()?;
    if id.whole().is_some() { Ok(id) } else { Err("a new run's id is a whole UUID, 32 hexadecimal digits".to_owned()) }
}

#[derive(Debug, Args)]
pub(crate) struct RunsArgs {
    /// Only runs of this flow, or of one version, as order@2
    pub(crate) flow: Option<String>,
    /// Only runs that are: started, completed, failed, cancelled
    #[arg(long, value_name = "STATUS", hide_possible_values = true, value_parser = status())]
    pub(crate) status: Option<RunStatus>,
    /// Only failed runs, with their errors: as --status failed
    #[arg(long, conflicts_with = "status")]
    pub(crate) failed: bool,
    /// Only runs under way, or ended in this time, as 90s, 1h, 7d
    #[arg(long, value_name = "TIME", value_parser = age, allow_hyphen_values = true)]
    pub(crate) since: Option<Duration>,
    /// At most so many
    #[arg(long, short = 'n', value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) limit: u32,
    /// Look again every two seconds, until Ctrl-C
    #[arg(long, short)]
    pub(crate) watch: bool,
    /// text (the default), json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

/// A status, one of those that help and completions name.
fn status() -> impl TypedValueParser<Value = RunStatus> {
    PossibleValuesParser::new(RunStatus::ALL.iter().map(|status| status.as_str()))
        .try_map(|word| word.parse::<RunStatus>())
}

/// The notation of flow files and days.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    if text.starts_with('-') {
        return Err("a time that lies ahead has not come yet: write it without the minus, such as 1d".to_owned());
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        // Of what is to be deleted, 30 would mean days to most.
        "" => return Err("write a unit too, such as 12h or 30d".to_owned()),
        "d" => 86_400,
        "w" => 604_800,
        other => return Err(format!("unknown unit `{other}`: use s, m, h, d or w")),
    };
    let count: u64 = digits.parse().map_err(|_| "write a number and a unit, such as 7d".to_owned())?;
    match count.checked_mul(unit) {
        // PostgreSQL's intervals reach further, its timestamps do not.
        Some(seconds) if seconds <= 100 * 366 * 86_400 => Ok(Duration::from_secs(seconds)),
        _ => Err("a hundred years at most".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Run: its id, or the beginning of it
    pub(crate) run: RunPrefix,
    /// Show inputs, outputs, errors and tasks whole
    #[arg(long)]
    pub(crate) full: bool,
    /// text (the default), json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Run: its id, or the beginning of it
    pub(crate) run: RunPrefix,
    /// Longest time to follow it [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = super::duration)]
    pub(crate) timeout: Option<Duration>,
    /// text (the default), json: an object a line
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct QueuesArgs {
    /// Only of this flow, or of one version, as order@2
    pub(crate) flow: Option<String>,
    /// text (the default), json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct WorkersArgs {
    /// Only of this flow, or of one version, as order@2
    pub(crate) flow: Option<String>,
    /// Also those that have stopped, or been silent for a day
    #[arg(long)]
    pub(crate) all: bool,
    /// text (the default), json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct StalledArgs {
    /// Only of this flow, or of one version, as order@2
    pub(crate) flow: Option<String>,
    /// Only what has not moved for this long, as 90s, 1h
    #[arg(long = "for", value_name = "TIME", default_value = "1m", value_parser = age, allow_hyphen_values = true)]
    pub(crate) at_least: Duration,
    /// Queue again first what has been started for longer than its timeout
    #[arg(long)]
    pub(crate) requeue: bool,
    /// text (the default), json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct RetryArgs {
    /// Run: its id, or the beginning of it
    pub(crate) run: RunPrefix,
    /// Follow the run to its end; exit with 1 where it fails
    #[arg(long, short)]
    pub(crate) wait: bool,
    /// With --wait: give up after this, with FS975 and exit 1; it goes on
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = super::duration)]
    pub(crate) timeout: Option<Duration>,
    /// text (the default), json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct CancelArgs {
    /// Run: its id, or the beginning of it
    pub(crate) run: RunPrefix,
    /// Why: kept with the run, and told to whoever watches it
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// text (the default), json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// Flow, every version of it; or one, as order@2 or order_v2
    pub(crate) flow: String,
    /// text (the default), json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct PruneArgs {
    /// Only runs of this flow, or of one version, as order@2
    pub(crate) flow: Option<String>,
    /// Runs that ended longer ago than this, as 12h, 30d
    #[arg(long, value_name = "TIME", value_parser = age, allow_hyphen_values = true)]
    pub(crate) older_than: Duration,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// text (the default), json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    /// Only this flow, or one version, as order@2; also its steps
    pub(crate) flow: Option<String>,
    /// Runs that ended in this time, as 90s, 1h, 7d
    #[arg(long, value_name = "TIME", default_value = "1d", value_parser = age, allow_hyphen_values = true)]
    pub(crate) since: Duration,
    /// text (the default), json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Args)]
pub(crate) struct RetireArgs {
    /// Old versions to delete, as order@1; without one, lists them
    #[arg(value_name = "FLOW")]
    pub(crate) versions: Vec<String>,
    /// Wait until they have no run under way and no message
    #[arg(long, short, requires = "versions")]
    pub(crate) wait: bool,
    /// Longest time to wait [default: no limit]
    #[arg(long, value_name = "TIME", requires = "wait", value_parser = super::duration)]
    pub(crate) timeout: Option<Duration>,
    /// Do not ask
    #[arg(long, short)]
    pub(crate) yes: bool,
    /// text (the default), json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}
