//! Arguments of `worker` and `bench`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{StatusFormat, duration, duration_or_zero};

#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// Flows by name or as SLUG@VERSION [default: all with handlers]
    #[arg(value_name = "FLOW")]
    pub(crate) names: Vec<String>,
    /// Tasks that are done at once
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) concurrency: u32,
    /// Tasks that one call takes at most
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) batch: u32,
    /// Connections that take and complete tasks
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) connections: u32,
    /// Connections for `sql` handlers, made when needed
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) sql_connections: u32,
    /// Longest time between looks where notifications do not come
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration)]
    pub(crate) poll_interval: Duration,
    /// How long tasks may go on after SIGTERM [default: their timeout]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) patience: Option<Duration>,
    /// How long to wait at the start for a server that is away
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration_or_zero)]
    pub(crate) wait_for_server: Duration,
    /// Also start runs: schedules without pg_cron, events of queues
    #[arg(long)]
    pub(crate) schedule: bool,
    /// Name in pgflow.workers
    #[arg(long, default_value = "flowsmith")]
    pub(crate) name: String,
    /// Serve /metrics, for Prometheus, and /healthz: 127.0.0.1:9187
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) metrics: Option<String>,
    /// Work although the files are not what the database holds
    #[arg(long)]
    pub(crate) accept_drift: bool,
}

/// A host and a port. Whether there is such a host shows when it is used.
fn address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err("write a host and a port, such as 127.0.0.1:9187".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// single, chain, fan, map; repeatable [default: all]
    #[arg(long, value_name = "NAME", hide_possible_values = true)]
    pub(crate) scenario: Vec<BenchScenario>,
    /// Runs of each repetition
    #[arg(long, value_name = "N", default_value = "200", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) runs: u32,
    /// Connections that start runs and process tasks
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) workers: u32,
    /// Messages that a worker takes at once
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) batch: u32,
    /// single (calls of pgflow), batch (flowsmith's), auto (the default)
    #[arg(long, value_name = "NAME", default_value = "auto", hide_default_value = true, hide_possible_values = true)]
    pub(crate) protocol: BenchProtocol,
    /// How often each scenario is measured
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) repetitions: u32,
    /// Repetitions before these, which do not count
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub(crate) warm_up: u32,
    /// text (the default), json
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_default_value = true, hide_possible_values = true)]
    pub(crate) format: StatusFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchScenario {
    Single,
    Chain,
    Fan,
    Map,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum BenchProtocol {
    Single,
    Batch,
    Auto,
}
