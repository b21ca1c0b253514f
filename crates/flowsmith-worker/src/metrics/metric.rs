//! The metrics of the endpoint: names, types, labels and descriptions. A test compares the table in docs/worker.md with them.

/// The type of a metric, as Prometheus defines it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricKind {
    /// Increases until the worker restarts.
    Counter,
    /// Increases and decreases.
    Gauge,
    /// Durations, counted in buckets.
    Histogram,
}

impl MetricKind {
    /// The name of the type in the text format of Prometheus.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric of the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metric {
    /// The name, which ends with the unit.
    pub name: &'static str,
    /// The type.
    pub kind: MetricKind,
    /// The labels. `flow` is the slug in the database: version 2 of `order` is `order_v2`.
    pub labels: &'static [&'static str],
    /// The description, in one line.
    pub help: &'static str,
}

/// Defines a constant for each metric and the list of all.
macro_rules! metrics {
    ($($constant:ident $kind:ident $name:literal [$($label:literal)*] $help:literal;)*) => {
        $(pub(super) const $constant: Metric =
            Metric { name: $name, kind: MetricKind::$kind, labels: &[$($label),*], help: $help };)*
        /// All metrics of the endpoint.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    START Gauge "flowsmith_worker_start_time_seconds" [] "Start time of this worker, in seconds since 1970.";
    POLLING Gauge "flowsmith_worker_polling" [] "1 while this worker claims tasks; 0 while it shuts down, is disconnected, or the database refuses its calls. Same as /healthz.";
    LISTENING Gauge "flowsmith_worker_listening" [] "1 while notifications wake this worker, 0 while it polls.";
    HEARTBEAT Gauge "flowsmith_worker_last_heartbeat_timestamp_seconds" [] "Time of the last heartbeat that the database stored, in seconds since 1970; 0 before the first.";
    CONCURRENCY Gauge "flowsmith_worker_concurrency" [] "Maximum number of tasks that this worker runs at once.";
    RUNNING Gauge "flowsmith_worker_tasks_in_flight" ["flow" "step"] "Tasks that this worker is running.";
    TASKS Counter "flowsmith_worker_tasks_total" ["flow" "step" "outcome"] "Finished tasks by outcome: completed; failed after the last attempt; late, because another worker got the task or its run had ended.";
    RETRIES Counter "flowsmith_worker_task_retries_total" ["flow" "step"] "Failed attempts that will be retried.";
    DURATION Histogram "flowsmith_worker_task_duration_seconds" ["flow" "step"] "Duration of attempts that completed or failed.";
    HANDED_BACK Counter "flowsmith_worker_tasks_handed_back_total" ["flow"] "Claimed tasks that this worker returned to the queue.";
    RECOVERED Counter "flowsmith_worker_tasks_recovered_total" [] "Stalled tasks, 30 s past their timeout, that this worker queued again.";
    LOST Counter "flowsmith_worker_connections_lost_total" [] "Lost connections to the database and failed attempts to connect.";
    RECONNECTS Counter "flowsmith_worker_reconnects_total" [] "Connections opened in place of lost ones.";
    REFUSED Counter "flowsmith_worker_refusals_total" [] "Calls that the database refused.";
    UP Gauge "flowsmith_database_up" [] "1 if the database answered the queries for the metrics below; otherwise 0, and those metrics are missing.";
    ERROR Gauge "flowsmith_database_error" ["code"] "1 with the code of the error if the database did not answer.";
    SAMPLED Gauge "flowsmith_database_sample_timestamp_seconds" [] "Time of the answer of the database, in seconds since 1970; answers are cached for at least 5 s.";
    RUNS Gauge "flowsmith_runs_under_way" ["flow"] "Runs in progress.";
    ENDED Gauge "flowsmith_runs_ended_recently" ["flow" "outcome"] "Runs that completed, failed or were cancelled in the last 5 minutes.";
    MESSAGES Gauge "flowsmith_queue_messages" ["flow"] "Messages in the queue: waiting, delayed or in flight.";
    WAITING Gauge "flowsmith_queue_waiting_messages" ["flow"] "Messages that a worker can claim now (the queue depth).";
    DELAYED Gauge "flowsmith_queue_delayed_messages" ["flow"] "Messages held back by a retry, a start delay or a pause.";
    IN_FLIGHT Gauge "flowsmith_queue_tasks_in_flight" ["flow"] "Tasks that any worker is running.";
    LAG Gauge "flowsmith_queue_lag_seconds" ["flow"] "Longest time that a message has been waiting to be claimed; 0 if none is waiting.";
    PAUSED Gauge "flowsmith_flow_paused" ["flow"] "1 if the flow is paused, else 0.";
    ALIVE Gauge "flowsmith_workers_alive" ["flow"] "Workers of the queue with a recent heartbeat.";
    SILENT Gauge "flowsmith_workers_silent" ["flow"] "Workers that have sent no heartbeat for 30 s to one day and have not reported their end.";
    STALLED Gauge "flowsmith_tasks_stalled" ["flow" "step"] "Tasks without progress for a minute, except for delays and retries; `flowsmith stalled` prints the causes.";
}
