//! Arguments of `worker` and `bench`.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::{StatusFormat, duration, duration_or_zero};

#[derive(Debug, Args)]
pub(crate) struct WorkerArgs {
    /// Flows, such as order or order@2 [default: all with handlers]
    #[arg(value_name = "FLOW")]
    pub(crate) names: Vec<String>,
    /// Maximum number of tasks to run at once
    #[arg(long, value_name = "N", default_value = "50", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) concurrency: u32,
    /// Maximum number of tasks to claim in one call
    #[arg(long, value_name = "N", default_value = "20", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) batch: u32,
    /// Connections that claim and complete tasks
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) connections: u32,
    /// Connections for `sql` handlers, opened on demand
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) sql_connections: u32,
    /// Maximum polling interval if notifications do not arrive
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = duration)]
    pub(crate) poll_interval: Duration,
    /// Time for running tasks to end after SIGTERM [default: their timeout]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub(crate) shutdown_timeout: Option<Duration>,
    /// Time to wait at startup for an unavailable server
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = duration_or_zero)]
    pub(crate) wait_for_server: Duration,
    /// Also run triggers: queues, and schedules if pg_cron is missing
    #[arg(long)]
    pub(crate) schedule: bool,
    /// Name of the worker in pgflow.workers
    #[arg(long, default_value = "flowsmith")]
    pub(crate) name: String,
    /// Serve /metrics and /healthz at an address such as 127.0.0.1:9187
    #[arg(long, value_name = "ADDR", value_parser = address)]
    pub(crate) metrics: Option<String>,
    /// Work even if the flow files differ from the database
    #[arg(long)]
    pub(crate) accept_drift: bool,
}

/// Parses a host and a port; the host is resolved when the worker binds it.
fn address(text: &str) -> Result<String, String> {
    match text.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(text.to_owned()),
        _ => Err("write a host and a port, such as 127.0.0.1:9187".to_owned()),
    }
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// single, chain, fan or map; repeatable [default: all]
    #[arg(long, value_name = "NAME", hide_possible_values = true)]
    pub(crate) scenario: Vec<BenchScenario>,
    /// Runs per repetition
    #[arg(long, value_name = "N", default_value = "200", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) runs: u32,
    /// Connections that start runs and process tasks
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) workers: u32,
    /// Messages to claim in one call
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) batch: u32,
    /// Calls to use: single (pgflow), batch (flowsmith) or auto (default)
    #[arg(long, value_name = "NAME", default_value = "auto", hide_default_value = true, hide_possible_values = true)]
    pub(crate) protocol: BenchProtocol,
    /// Measured repetitions per scenario
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) repetitions: u32,
    /// Repetitions before the measured ones
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(0..=1_000))]
    pub(crate) warm_up: u32,
    /// text (default) or json
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
