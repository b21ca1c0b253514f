//! The timers of the runner: reading triggers, starting due runs, consuming from queues, and cleaning up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgConnection;

use super::event::TriggerEvent;
use crate::triggers::queues::{Batch, QueueTrigger, clean_up, consume, queue_triggers};
use crate::triggers::schedules::start_due_runs;
use flowsmith_postgres::database::{DatabaseError, with_timeout};

/// The time between two readings of the triggers.
const READ_INTERVAL: Duration = Duration::from_secs(10);

/// The time between two clean-ups.
const CLEAN_UP_INTERVAL: Duration = Duration::from_secs(600);

/// The pause after the database rejected a call.
const PAUSE_AFTER_REJECTION: Duration = Duration::from_secs(10);

/// The maximum number of batches of one queue in a row, before other queues have their turn.
const MAX_BATCHES_IN_A_ROW: usize = 20;

/// The timeout for reading triggers and starting due runs. A call that exceeds it counts as a lost connection.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// A queue, and when to consume from it next.
struct QueueTimer {
    trigger: QueueTrigger,
    due: Instant,
}

/// The timers of the runner.
pub(super) struct Timers<O> {
    poll_interval: Duration,
    observe: Arc<O>,
    queues: Vec<QueueTimer>,
    read_due: Instant,
    schedules_due: Instant,
    clean_up_due: Instant,
}

impl<O: Fn(&TriggerEvent)> Timers<O> {
    /// Reads the triggers.
    pub(super) async fn read(
        connection: &mut PgConnection,
        poll_interval: Duration,
        observe: Arc<O>,
    ) -> Result<Self, DatabaseError> {
        let now = Instant::now();
        let mut timers =
            Self { poll_interval, observe, queues: Vec::new(), read_due: now, schedules_due: now, clean_up_due: now };
        timers.read_triggers(connection).await?;
        timers.emit(&TriggerEvent::Watching { queues: timers.queue_names() });
        Ok(timers)
    }

    fn emit(&self, event: &TriggerEvent) {
        (self.observe)(event);
    }

    /// Reports that the database rejected a call, and returns the pause before the next one.
    pub(super) fn emit_rejected(&self, error: &DatabaseError) -> Duration {
        let operation = "cannot read triggers".to_owned();
        self.emit(&TriggerEvent::Rejected { operation, error: error.to_string() });
        PAUSE_AFTER_REJECTION
    }

    /// Does everything that is due, and returns the time until something else is.
    pub(super) async fn run_due(&mut self, connection: &mut PgConnection) -> Result<Duration, DatabaseError> {
        if self.read_due <= Instant::now() {
            let before = self.queue_names();
            self.read_triggers(connection).await?;
            if before != self.queue_names() {
                self.emit(&TriggerEvent::Watching { queues: self.queue_names() });
            }
        }
        if self.schedules_due <= Instant::now() {
            self.run_schedules(connection).await?;
        }
        for at in 0..self.queues.len() {
            if self.queues[at].due <= Instant::now() {
                self.consume_from(at, connection).await?;
            }
        }
        if self.clean_up_due <= Instant::now() {
            self.clean_up_due = Instant::now() + CLEAN_UP_INTERVAL;
            for consumer in clean_up(connection).await? {
                self.emit(&TriggerEvent::ConsumerUnregistered(consumer));
            }
        }
        let queues = self.queues.iter().map(|queue| queue.due);
        let next = queues.chain([self.read_due, self.schedules_due, self.clean_up_due]).min();
        Ok(next.unwrap_or(self.read_due).saturating_duration_since(Instant::now()))
    }

    async fn read_triggers(&mut self, connection: &mut PgConnection) -> Result<(), DatabaseError> {
        let now = Instant::now();
        self.read_due = now + READ_INTERVAL;
        let triggers = with_timeout(CALL_TIMEOUT, queue_triggers(connection)).await?;
        let due = |trigger: &QueueTrigger| {
            self.queues.iter().find(|queue| queue.trigger == *trigger).map_or(now, |queue| queue.due)
        };
        self.queues = triggers.into_iter().map(|trigger| QueueTimer { due: due(&trigger), trigger }).collect();
        Ok(())
    }

    /// Starts due runs. If the database rejects that, queues still have their turn.
    async fn run_schedules(&mut self, connection: &mut PgConnection) -> Result<(), DatabaseError> {
        self.schedules_due = Instant::now() + PAUSE_AFTER_REJECTION;
        let runs = match with_timeout(CALL_TIMEOUT, start_due_runs(connection)).await {
            Ok(runs) => runs,
            Err(error) if error.is_lost() => return Err(error),
            Err(error) => {
                let operation = "cannot run schedules".to_owned();
                self.emit(&TriggerEvent::Rejected { operation, error: error.to_string() });
                return Ok(());
            }
        };
        self.schedules_due = Instant::now() + runs.pause;
        for run in runs.started {
            self.emit(&TriggerEvent::ScheduledRunStarted(run));
        }
        for run in runs.failed {
            self.emit(&TriggerEvent::ScheduledRunFailed(run));
        }
        Ok(())
    }

    /// Consumes batches of one queue.
    async fn consume_from(&mut self, at: usize, connection: &mut PgConnection) -> Result<(), DatabaseError> {
        let trigger = self.queues[at].trigger.clone();
        let name = format!("{}:{}", trigger.flow, trigger.name);
        self.queues[at].due = Instant::now() + self.poll_interval;
        for _ in 0..MAX_BATCHES_IN_A_ROW {
            let batch = match consume(connection, &trigger).await {
                Ok(batch) => batch,
                Err(error) if error.is_lost() => return Err(error),
                Err(error) => {
                    self.queues[at].due = Instant::now() + PAUSE_AFTER_REJECTION;
                    let operation = format!("{name}: cannot consume from queue {}", trigger.queue);
                    self.emit(&TriggerEvent::Rejected { operation, error: error.to_string() });
                    return Ok(());
                }
            };
            let is_empty = batch.events == 0;
            self.emit_batch(&name, batch);
            if is_empty {
                return Ok(());
            }
        }
        self.queues[at].due = Instant::now();
        Ok(())
    }

    fn emit_batch(&self, trigger: &str, batch: Batch) {
        let trigger = || trigger.to_owned();
        if batch.started > 0 {
            self.emit(&TriggerEvent::EventsConsumed { trigger: trigger(), started: batch.started });
        }
        if batch.already_handled > 0 {
            self.emit(&TriggerEvent::EventsAlreadyHandled { trigger: trigger(), events: batch.already_handled });
        }
        for event in batch.failed {
            self.emit(&TriggerEvent::EventFailed { trigger: trigger(), event });
        }
    }

    fn queue_names(&self) -> Vec<String> {
        self.queues.iter().map(|queue| format!("{}:{}", queue.trigger.kind.as_str(), queue.trigger.queue)).collect()
    }
}
