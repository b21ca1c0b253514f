//! What a starter has to do, and when: look which triggers there are, fire schedules, take from queues, tidy up.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::PgConnection;

use super::event::Event;
use crate::triggers::queues::{QueueTrigger, queue_triggers, take, tidy};
use crate::triggers::schedules::fire_due;
use flowsmith_postgres::database::{DatabaseError, within};

/// Between two looks at which triggers there are.
const LIST_EVERY: Duration = Duration::from_secs(10);
/// Between two farewells to queues that no trigger takes from any more.
const TIDY_EVERY: Duration = Duration::from_secs(600);
/// After something that was refused.
const AFTER_REFUSAL: Duration = Duration::from_secs(10);
/// Batches of one queue in a row, before others have their turn.
const IN_A_ROW: usize = 20;

/// How long the database may take to say which triggers there are, and to start what is due; the connection counts as lost then.
const ANSWER: Duration = Duration::from_secs(30);

/// A queue and when to look at it next.
struct Source {
    trigger: QueueTrigger,
    due: Instant,
}

/// What there is to do, and when.
pub(super) struct Agenda<O> {
    poll_interval: Duration,
    observe: Arc<O>,
    sources: Vec<Source>,
    list_due: Instant,
    fire_due: Instant,
    tidy_due: Instant,
}

impl<O: Fn(&Event)> Agenda<O> {
    /// Reads which triggers there are.
    pub(super) async fn read(
        connection: &mut PgConnection,
        poll_interval: Duration,
        observe: Arc<O>,
    ) -> Result<Self, DatabaseError> {
        let now = Instant::now();
        let mut agenda =
            Self { poll_interval, observe, sources: Vec::new(), list_due: now, fire_due: now, tidy_due: now };
        agenda.list(connection).await?;
        agenda.tell(&Event::Watching { queues: agenda.queues() });
        Ok(agenda)
    }

    fn tell(&self, event: &Event) {
        (self.observe)(event);
    }

    /// Says what was refused, and how long nothing is tried again.
    pub(super) fn refused(&self, error: &DatabaseError) -> Duration {
        self.tell(&Event::Refused { what: "cannot read triggers".to_owned(), error: error.to_string() });
        AFTER_REFUSAL
    }

    /// Does what is due, and says how long nothing will be.
    pub(super) async fn round(&mut self, connection: &mut PgConnection) -> Result<Duration, DatabaseError> {
        if self.list_due <= Instant::now() {
            let before = self.queues();
            self.list(connection).await?;
            if before != self.queues() {
                self.tell(&Event::Watching { queues: self.queues() });
            }
        }
        if self.fire_due <= Instant::now() {
            self.fire(connection).await?;
        }
        for at in 0..self.sources.len() {
            if self.sources[at].due <= Instant::now() {
                self.take_from(at, connection).await?;
            }
        }
        if self.tidy_due <= Instant::now() {
            self.tidy_due = Instant::now() + TIDY_EVERY;
            for departure in tidy(connection).await? {
                self.tell(&Event::Left(departure));
            }
        }
        let dues = self.sources.iter().map(|source| source.due).chain([self.list_due, self.fire_due, self.tidy_due]);
        let next = dues.min().unwrap_or(self.list_due);
        Ok(next.saturating_duration_since(Instant::now()))
    }

    async fn list(&mut self, connection: &mut PgConnection) -> Result<(), DatabaseError> {
        let now = Instant::now();
        self.list_due = now + LIST_EVERY;
        let triggers = within(ANSWER, queue_triggers(connection)).await?;
        let due = |trigger: &QueueTrigger| {
            self.sources.iter().find(|source| source.trigger == *trigger).map_or(now, |source| source.due)
        };
        self.sources = triggers.into_iter().map(|trigger| Source { due: due(&trigger), trigger }).collect();
        Ok(())
    }

    /// Schedules that are refused do not keep queues from their turn.
    async fn fire(&mut self, connection: &mut PgConnection) -> Result<(), DatabaseError> {
        self.fire_due = Instant::now() + AFTER_REFUSAL;
        let tick = match within(ANSWER, fire_due(connection)).await {
            Ok(tick) => tick,
            Err(error) if error.is_lost() => return Err(error),
            Err(error) => {
                let what = "cannot run schedules".to_owned();
                self.tell(&Event::Refused { what, error: error.to_string() });
                return Ok(());
            }
        };
        self.fire_due = Instant::now() + tick.pause;
        for firing in tick.fired {
            self.tell(&Event::Fired(firing));
        }
        for failed in tick.failed {
            self.tell(&Event::FiringFailed(failed));
        }
        Ok(())
    }

    /// Takes batches while there are any. A queue that is not there, or that refuses, does not keep the others from their turn.
    async fn take_from(&mut self, at: usize, connection: &mut PgConnection) -> Result<(), DatabaseError> {
        let trigger = self.sources[at].trigger.clone();
        let name = format!("{}:{}", trigger.flow, trigger.name);
        self.sources[at].due = Instant::now() + self.poll_interval;
        for _ in 0..IN_A_ROW {
            let batch = match take(connection, &trigger).await {
                Ok(batch) => batch,
                Err(error) if error.is_lost() => return Err(error),
                Err(error) => {
                    self.sources[at].due = Instant::now() + AFTER_REFUSAL;
                    let what = format!("{name}: cannot consume from queue {}", trigger.queue);
                    self.tell(&Event::Refused { what, error: error.to_string() });
                    return Ok(());
                }
            };
            if batch.started > 0 {
                self.tell(&Event::Took { trigger: name.clone(), started: batch.started });
            }
            if batch.known > 0 {
                self.tell(&Event::Known { trigger: name.clone(), events: batch.known });
            }
            for event in batch.failed {
                self.tell(&Event::EventFailed { trigger: name.clone(), event });
            }
            if batch.events == 0 {
                return Ok(());
            }
        }
        self.sources[at].due = Instant::now();
        Ok(())
    }

    fn queues(&self) -> Vec<String> {
        self.sources.iter().map(|source| format!("{}:{}", source.trigger.kind.as_str(), source.trigger.queue)).collect()
    }
}
