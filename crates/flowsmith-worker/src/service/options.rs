//! The options of a service.

use std::time::Duration;

use flowsmith_core::redact::Redactor;

/// The options of a [`Service`](super::Service). Start with the default.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ServiceOptions {
    /// The flows to work on: `order` for all of its versions, `order@2` or `order_v2` for one. If empty, all flows that declare
    /// handlers.
    pub flows: Vec<String>,
    /// The name in `pgflow.workers`.
    pub name: String,
    /// The maximum number of running tasks.
    pub concurrency: usize,
    /// The maximum number of tasks that one call claims.
    pub batch: usize,
    /// The number of connections that claim tasks and report results.
    pub connections: usize,
    /// The maximum number of connections for `sql` handlers.
    pub sql_connections: usize,
    /// The longest time between two polls.
    pub poll_interval: Duration,
    /// How long running tasks may continue during the shutdown; none for their timeouts.
    pub shutdown_timeout: Option<Duration>,
    /// Host and port of the metrics endpoint.
    pub metrics: Option<String>,
    /// Whether to run triggers: schedules of databases without pg_cron, and queues.
    pub triggers: bool,
    /// How long to wait for an unavailable server at startup.
    pub wait_for_server: Duration,
    /// Whether to work if the flow files differ from the database.
    pub accept_drift: bool,
    /// What is kept out of logs and errors besides the values of variables in declared handlers; see
    /// [`secrets_of`](crate::secrets_of).
    pub secrets: Redactor,
}

impl Default for ServiceOptions {
    fn default() -> Self {
        Self {
            flows: Vec::new(),
            name: "flowsmith".to_owned(),
            concurrency: 50,
            batch: 20,
            connections: 2,
            sql_connections: 5,
            poll_interval: Duration::from_secs(3),
            shutdown_timeout: None,
            metrics: None,
            triggers: false,
            wait_for_server: Duration::from_secs(60),
            accept_drift: false,
            secrets: Redactor::new(),
        }
    }
}
