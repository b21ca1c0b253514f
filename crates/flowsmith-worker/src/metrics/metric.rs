//! Every metric that the endpoint gives: names, kinds, labels, what they mean. The documentation's table is held against it.

/// What Prometheus is to make of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricKind {
    /// It only grows, until the worker starts anew.
    Counter,
    /// It goes up and down.
    Gauge,
    /// Durations, counted by how long they were.
    Histogram,
}

impl MetricKind {
    /// The word of the text format.
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
pub struct Metric {
    /// Its name, with its unit.
    pub name: &'static str,
    /// What it is.
    pub kind: MetricKind,
    /// Its labels. `flow` is the slug in the database: version 2 of `order` is `order_v2`.
    pub labels: &'static [&'static str],
    /// What it says, in a line.
    pub help: &'static str,
}

/// Names them, and lists them.
macro_rules! metrics {
    ($($constant:ident $kind:ident $name:literal [$($label:literal)*] $help:literal;)*) => {
        $(pub(super) const $constant: Metric =
            Metric { name: $name, kind: MetricKind::$kind, labels: &[$($label),*], help: $help };)*
        /// Every metric that the endpoint gives.
        pub const METRICS: &[Metric] = &[$($constant),*];
    };
}

metrics! {
    START Gauge "flowsmith_worker_start_time_seconds" [] "Start time of this worker, in seconds since 1970.";
    POLLING Gauge "flowsmith_worker_polling" [] "1 while this worker claims tasks; 0 while it drains, is disconnected, or its claims are rejected. Equal to /healthz.";
    LISTENING Gauge "flowsmith_worker_listening" [] "1 while notifications wake this worker, 0 while it polls.";
    HEARTBEAT Gauge "flowsmith_worker_last_heartbeat_timestamp_seconds" [] "Time of the last heartbeat of this worker in the database, in seconds since 1970; 0 before the first.";
    CONCURRENCY Gauge "flowsmith_worker_concurrency" [] "Maximum number of tasks that this worker runs at once.";
    RUNNING Gauge "flowsmith_worker_tasks_in_flight" ["flow" "step"] "Tasks that run in handlers of this worker.";
    TASKS Counter "flowsmith_worker_tasks_total" ["flow" "step" "outcome"] "Tasks that this worker has finished: completed; failed permanently; late, if another worker claimed the task or its run has ended.";
    RETRIES Counter "flowsmith_worker_task_retries_total" ["flow" "step"] "Failed attempts that are retried.";
    DURATION Histogram "flowsmith_worker_task_duration_seconds" ["flow" "step"] "Duration of handlers for attempts that completed or failed.";
    HANDED_BACK Counter "flowsmith_worker_tasks_handed_back_total" ["flow"] "Tasks returned to the queue.";
    RECOVERED Counter "flowsmith_worker_tasks_recovered_total" [] "Stalled tasks (30 s beyond their timeout) that this worker has requeued.";
    LOST Counter "flowsmith_worker_connections_lost_total" [] "Lost connections to the database, and failed attempts to connect.";
    RECONNECTS Counter "flowsmith_worker_reconnects_total" [] "Connections that replaced lost ones.";
    REFUSED Counter "flowsmith_worker_refusals_total" [] "Calls that the database rejected.";
    UP Gauge "flowsmith_database_up" [] "1 if the database has just answered the queries for the metrics below; otherwise 0, and they are omitted.";
    ERROR Gauge "flowsmith_database_error" ["code"] "1 with the code of the error if the database has not answered.";
    SAMPLED Gauge "flowsmith_database_sample_timestamp_seconds" [] "Time of the last answer of the database, in seconds since 1970; answers are cached for at least 5 s.";
    RUNS Gauge "flowsmith_runs_under_way" ["flow"] "Running runs.";
    ENDED Gauge "flowsmith_runs_ended_recently" ["flow" "outcome"] "Runs that completed, failed or were cancelled in the last 5 minutes.";
    MESSAGES Gauge "flowsmith_queue_messages" ["flow"] "Messages in the queue: waiting, delayed and in flight.";
    WAITING Gauge "flowsmith_queue_waiting_messages" ["flow"] "Messages that a worker could read now: the depth of the queue.";
    DELAYED Gauge "flowsmith_queue_delayed_messages" ["flow"] "Messages that become visible later: a retry, a start delay or a pause.";
    IN_FLIGHT Gauge "flowsmith_queue_tasks_in_flight" ["flow"] "Tasks that any worker has claimed.";
    LAG Gauge "flowsmith_queue_lag_seconds" ["flow"] "Waiting time of the longest waiting message; 0 if none waits.";
    PAUSED Gauge "flowsmith_flow_paused" ["flow"] "1 if the flow is paused.";
    ALIVE Gauge "flowsmith_workers_alive" ["flow"] "Live workers of the queue.";
    SILENT Gauge "flowsmith_workers_silent" ["flow"] "Workers without a heartbeat for 30 s to one day that have not stopped.";
    STALLED Gauge "flowsmith_tasks_stalled" ["flow" "step"] "Tasks without progress for a minute, except delays and retries; `flowsmith stalled` shows the causes.";
}
