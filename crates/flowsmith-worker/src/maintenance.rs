//! The maintenance of a worker, on a separate connection: heartbeats, polling, and the recovery of stalled tasks.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::select;

use crate::acknowledge::return_tasks;
use crate::connection::{Connection, connection};
use crate::engine::{QueueStatus, ReturnOptions};
use crate::event::Event;
use crate::periodic_checks::PeriodicChecks;
use crate::shared::Shared;
use flowsmith_postgres::database::{DatabaseError, with_timeout};

/// The time between heartbeats.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);

/// The timeout of heartbeats and polls. The engine considers a worker dead after 30 s without a heartbeat.
const CALL_TIMEOUT: Duration = Duration::from_secs(15);

/// The time between recoveries; the job of pg_cron has the same.
const RECOVERY_INTERVAL: Duration = Duration::from_secs(15);

/// How many recoveries in a row may be skipped because of a backlog of results.
const MAX_SKIPPED_RECOVERIES: u32 = 8;

/// The pause after interrupted claims could not be resolved.
const INTERRUPTED_RETRY: Duration = Duration::from_secs(5);

/// The time between periodic checks.
const CHECK_INTERVAL: Duration = Duration::from_secs(30);

/// The shortest time between two polls.
const MIN_POLL_INTERVAL: Duration = Duration::from_millis(50);

/// The longest time for which a delayed message is waited for without another poll.
const MAX_DELAY_SECONDS: f64 = 86_400.0;

/// The maintenance of a worker.
pub(crate) struct Maintenance {
    shared: Arc<Shared>,
    /// The longest time between two polls if notifications do not arrive.
    max_poll_interval: Duration,
    /// Whether this worker requeues stalled tasks, because pg_cron does not.
    recovers: bool,
    /// When the next message of each flow becomes visible.
    visible_at: HashMap<usize, Instant>,
    next_heartbeat: Instant,
    next_poll: Instant,
    next_recovery: Instant,
    next_resolution: Instant,
    next_checks: Instant,
    skipped_recoveries: u32,
    checks: PeriodicChecks,
    /// The time between polls, which grows while the worker claims no tasks.
    poll_interval: Duration,
    /// The number of claimed tasks at the last poll.
    claimed: u64,
}

impl Maintenance {
    pub(crate) fn new(shared: Arc<Shared>, max_poll_interval: Duration, recovers: bool) -> Self {
        let now = Instant::now();
        Self {
            shared,
            max_poll_interval,
            recovers,
            visible_at: HashMap::new(),
            next_heartbeat: now,
            next_poll: now,
            next_recovery: now,
            next_resolution: now,
            next_checks: now,
            skipped_recoveries: 0,
            checks: PeriodicChecks::default(),
            poll_interval: MIN_POLL_INTERVAL,
            claimed: 0,
        }
    }

    /// Runs until it is dropped.
    pub(crate) async fn run(mut self) -> Infallible {
        let shared = Arc::clone(&self.shared);
        let mut connection = connection(&shared, None);
        loop {
            let now = Instant::now();
            if let Err(error) = self.tick(&mut connection, now).await
                && !connection.was_lost_by(&error)
            {
                shared.emit_rejected("cannot write the heartbeat and check the queues", &error);
            }
            let requested = shared.dispatcher.check_requested();
            let until = self.next_tick().max(now + MIN_POLL_INTERVAL);
            select(pin!(tokio::time::sleep_until(until.into())), pin!(requested)).await;
            if Instant::now() < until {
                // A requested check comes soon, but once for all requests in the meantime.
                tokio::time::sleep(MIN_POLL_INTERVAL).await;
                self.next_poll = Instant::now();
            }
        }
    }

    fn next_tick(&self) -> Instant {
        let times = [Some(self.next_heartbeat), Some(self.next_poll), self.shared.dispatcher.next_resume()];
        times.into_iter().flatten().chain(self.visible_at.values().copied()).min().unwrap_or(self.next_heartbeat)
    }

    /// Does everything that is due. Each deadline is advanced before its call, so that a failure does not repeat it at once.
    async fn tick(&mut self, connection: &mut Connection<'_>, now: Instant) -> Result<(), DatabaseError> {
        self.shared.dispatcher.expire(now);
        self.wake_visible(now);
        // A poll shortly before a heartbeat becomes one, so that an idle worker makes no additional query.
        if self.next_heartbeat <= now || (self.next_poll <= now && self.next_heartbeat <= now + self.poll_interval) {
            self.heartbeat(connection, now).await?;
        } else if self.next_poll <= now {
            self.poll(connection, now).await?;
        }
        if self.next_resolution <= now {
            self.next_resolution = now + INTERRUPTED_RETRY;
            for flow in self.shared.dispatcher.interrupted() {
                self.resolve_interrupted(connection, flow).await?;
            }
            self.next_resolution = now;
        }
        if self.recovers && self.next_recovery <= now {
            self.next_recovery = now + RECOVERY_INTERVAL;
            // Finished tasks whose results are not acknowledged yet would be requeued.
            self.skipped_recoveries =
                if self.shared.dispatcher.has_backlog() { self.skipped_recoveries + 1 } else { 0 };
            if (1..=MAX_SKIPPED_RECOVERIES).contains(&self.skipped_recoveries) {
                return Ok(());
            }
            self.recover(connection, now).await?;
        }
        if self.next_checks <= now {
            self.next_checks = now + CHECK_INTERVAL;
            let shared = Arc::clone(&self.shared);
            self.checks.run(&shared, connection).await?;
        }
        Ok(())
    }

    /// Wakes the flows whose delayed messages have become visible.
    fn wake_visible(&mut self, now: Instant) {
        let dispatcher = &self.shared.dispatcher;
        self.visible_at.retain(|flow, at| {
            let is_visible = *at <= now;
            if is_visible {
                dispatcher.add_work(*flow);
            }
            !is_visible
        });
    }

    /// Writes the heartbeat, and polls in the same round trip.
    async fn heartbeat(&mut self, connection: &mut Connection<'_>, now: Instant) -> Result<(), DatabaseError> {
        let shared = Arc::clone(&self.shared);
        (self.next_heartbeat, self.next_poll) = (now + HEARTBEAT_INTERVAL, now + HEARTBEAT_INTERVAL);
        let ids: Vec<(&str, &str)> =
            shared.slugs().into_iter().zip(shared.worker_ids.iter().map(String::as_str)).collect();
        self.checks.recheck_missing_queues(&shared, connection).await?;
        let queues = self.checks.existing_queues(&shared);
        let Some(open) = connection.get().await else { return Ok(()) };
        let heartbeat = shared.services.engine.heartbeat(open, &shared.name, &ids, &queues);
        match with_timeout(CALL_TIMEOUT, heartbeat).await {
            Ok(statuses) => {
                shared.health.record_heartbeat();
                self.apply(&statuses);
                Ok(())
            }
            Err(error) => self.handle_missing_queue(connection, error).await,
        }
    }

    async fn poll(&mut self, connection: &mut Connection<'_>, now: Instant) -> Result<(), DatabaseError> {
        let shared = Arc::clone(&self.shared);
        self.next_poll = now + HEARTBEAT_INTERVAL;
        let queues = self.checks.existing_queues(&shared);
        if queues.is_empty() {
            return Ok(());
        }
        let Some(open) = connection.get().await else { return Ok(()) };
        match with_timeout(CALL_TIMEOUT, shared.services.engine.check_queues(open, &queues)).await {
            Ok(statuses) => {
                self.apply(&statuses);
                Ok(())
            }
            Err(error) => self.handle_missing_queue(connection, error).await,
        }
    }

    /// Requeues stalled tasks of silent workers.
    async fn recover(&mut self, connection: &mut Connection<'_>, now: Instant) -> Result<(), DatabaseError> {
        let Some(open) = connection.get().await else { return Ok(()) };
        let tasks = self.shared.services.engine.requeue_stalled(open).await?;
        if tasks > 0 {
            self.shared.emit(&Event::Requeued { tasks });
            self.next_poll = now;
        }
        Ok(())
    }

    /// If a heartbeat or poll failed because a queue is missing, it is repeated at once without that queue.
    async fn handle_missing_queue(
        &mut self,
        connection: &mut Connection<'_>,
        error: DatabaseError,
    ) -> Result<(), DatabaseError> {
        if error.is_undefined_table() && self.checks.find_missing_queues(&self.shared, connection).await? {
            self.next_heartbeat = Instant::now();
            return Ok(());
        }
        Err(error)
    }

    /// Wakes flows with visible messages, and schedules the next poll.
    fn apply(&mut self, statuses: &[QueueStatus]) {
        let now = Instant::now();
        let shared = &self.shared;
        for QueueStatus { flow, next_visible_in, is_deprecated } in statuses {
            let Some(at) = shared.flows.iter().position(|known| known.slug == *flow) else { continue };
            if *is_deprecated && shared.dispatcher.close(at) {
                shared.emit(&Event::Deprecated { flow: flow.clone() });
            }
            match next_visible_in {
                Some(seconds) if *seconds <= 0.0 => shared.dispatcher.add_work(at),
                Some(seconds) => {
                    let delay = Duration::from_secs_f64(seconds.min(MAX_DELAY_SECONDS));
                    self.visible_at.insert(at, now + delay);
                }
                None => {}
            }
        }
        if shared.health.is_listening() {
            self.next_poll = now + HEARTBEAT_INTERVAL;
            return;
        }
        let claimed = shared.dispatcher.claimed_total();
        let is_idle = std::mem::replace(&mut self.claimed, claimed) == claimed;
        self.poll_interval =
            if is_idle { (self.poll_interval * 2).min(self.max_poll_interval) } else { MIN_POLL_INTERVAL };
        self.next_poll = now + self.poll_interval;
    }

    /// Returns the tasks of an interrupted claim to the queue.
    async fn resolve_interrupted(&self, connection: &mut Connection<'_>, flow: usize) -> Result<(), DatabaseError> {
        let shared = &self.shared;
        let Some(open) = connection.get().await else { return Ok(()) };
        let claimed = shared.services.engine.claimed_tasks(open, &shared.worker_ids[flow]).await?;
        let unknown = shared.dispatcher.unknown(claimed);
        if !unknown.is_empty() {
            let options = ReturnOptions { started: false, delay: 0 };
            return_tasks(shared, connection, flow, &unknown, options).await;
        }
        shared.dispatcher.resolve_interrupted(flow);
        Ok(())
    }
}
