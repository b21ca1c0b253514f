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
    START Gauge "flowsmith_worker_start_time_seconds" [] "When this worker began, seconds since 1970.";
    POLLING Gauge "flowsmith_worker_polling" [] "1 while this worker takes tasks, 0 while it drains, has lost the database or is refused tasks; as /healthz.";
    LISTENING Gauge "flowsmith_worker_listening" [] "1 while notifications wake this worker, 0 while it polls.";
    HEARTBEAT Gauge "flowsmith_worker_last_heartbeat_timestamp_seconds" [] "When the database last took this worker's heartbeat, seconds since 1970; 0 before the first.";
    CONCURRENCY Gauge "flowsmith_worker_concurrency" [] "How many tasks this worker does at once at most.";
    RUNNING Gauge "flowsmith_worker_tasks_in_flight" ["flow" "step"] "Tasks in the hands of this worker's handlers.";
    TASKS Counter "flowsmith_worker_tasks_total" ["flow" "step" "outcome"] "Tasks that this worker has ended: completed; failed for good; late, given to somebody else or of a run that is over.";
    RETRIES Counter "flowsmith_worker_task_retries_total" ["flow" "step"] "Attempts that failed and are tried again.";
    DURATION Histogram "flowsmith_worker_task_duration_seconds" ["flow" "step"] "How long handlers took for attempts that completed or failed.";
    HANDED_BACK Counter "flowsmith_worker_tasks_handed_back_total" ["flow"] "Tasks that went back to the queue.";
    RECOVERED Counter "flowsmith_worker_tasks_recovered_total" [] "Tasks started for longer than their timeout and 30 s that this worker has queued again.";
    LOST Counter "flowsmith_worker_connections_lost_total" [] "Connections to the database that were lost, and attempts to connect that failed.";
    RECONNECTS Counter "flowsmith_worker_reconnects_total" [] "Connections made in place of lost ones.";
    REFUSED Counter "flowsmith_worker_refusals_total" [] "Calls that the database refused.";
    UP Gauge "flowsmith_database_up" [] "1 where the database has just answered the questions below, else 0, and they are left out.";
    ERROR Gauge "flowsmith_database_error" ["code"] "1 with the code of the error where the database has not answered.";
    SAMPLED Gauge "flowsmith_database_sample_timestamp_seconds" [] "When the database answered, seconds since 1970; answers are kept for 5 s and more.";
    RUNS Gauge "flowsmith_runs_under_way" ["flow"] "Runs that have started and not ended.";
    ENDED Gauge "flowsmith_runs_ended_recently" ["flow" "outcome"] "Runs that completed, failed or were cancelled in the last 5 minutes.";
    MESSAGES Gauge "flowsmith_queue_messages" ["flow"] "Messages in the queue: tasks that wait, come later or are in flight.";
    WAITING Gauge "flowsmith_queue_waiting_messages" ["flow"] "Messages that a worker could take now: the queue's depth.";
    DELAYED Gauge "flowsmith_queue_delayed_messages" ["flow"] "Messages that come later: before the next attempt, after a start delay, at the end of a pause.";
    IN_FLIGHT Gauge "flowsmith_queue_tasks_in_flight" ["flow"] "Tasks in the hands of any worker.";
    LAG Gauge "flowsmith_queue_lag_seconds" ["flow"] "For how long the message that waits longest could have been taken; 0 where none waits.";
    PAUSED Gauge "flowsmith_flow_paused" ["flow"] "1 where the flow is paused.";
    ALIVE Gauge "flowsmith_workers_alive" ["flow"] "Workers of the queue that are alive.";
    SILENT Gauge "flowsmith_workers_silent" ["flow"] "Workers not heard from for 30 s, and no longer than a day, that have not said that they ended.";
    STALLED Gauge "flowsmith_tasks_stalled" ["flow" "step"] "Tasks that have not moved for a minute, but for delays and retries; `flowsmith stalled` says why.";
}
