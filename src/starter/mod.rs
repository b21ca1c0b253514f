//! Starts runs as triggers say, until it is told to stop: schedules of a database without pg_cron ([`crate::schedule`]) and
//! events of queues ([`crate::intake`]).
//!
//! As many as one likes may do so at a time: each firing and each event starts one run.

mod event;

use std::future::Future;
use std::pin::pin;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use sqlx::PgConnection;

pub use event::Event;

use crate::database::{DatabaseError, Failure, Pauses, Target};
use crate::intake::{QueueTrigger, queue_triggers, take, tidy};
use crate::schedule::fire_due;

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

async fn within<T>(call: impl Future<Output = Result<T, DatabaseError>>) -> Result<T, DatabaseError> {
    let unanswered =
        || DatabaseError::new(Failure::Lost, format!("the database gave no answer within {} s", ANSWER.as_secs()));
    tokio::time::timeout(ANSWER, call).await.unwrap_or_else(|_| Err(unanswered()))
}

/// A queue and when to look at it next.
struct Source {
    trigger: QueueTrigger,
    due: Instant,
}

/// Sees to triggers.
pub struct Starter<O> {
    target: Target,
    poll_interval: Duration,
    observe: O,
    connection: Option<PgConnection>,
    pauses: Pauses,
    sources: Vec<Source>,
    list_due: Instant,
    fire_due: Instant,
    tidy_due: Instant,
}

impl<O: Fn(&Event)> Starter<O> {
    /// Connects, and reads which triggers there are. Queues without events are looked at once in `poll_interval`; `observe` is
    /// told what happens.
    ///
    /// # Errors
    /// Where there is no connection, or the role may not see or fire triggers.
    pub async fn connect(target: &Target, poll_interval: Duration, observe: O) -> Result<Self, DatabaseError> {
        let target = target.clone().named("flowsmith starter");
        let connection = target.connect().await?;
        let now = Instant::now();
        let mut starter = Self {
            target,
            poll_interval,
            observe,
            connection: Some(connection),
            pauses: Pauses::default(),
            sources: Vec::new(),
            list_due: now,
            fire_due: now,
            tidy_due: now,
        };
        starter.list().await?;
        (starter.observe)(&Event::Watching { queues: starter.queues() });
        Ok(starter)
    }

    /// Starts runs until `stop` is ready; what has been begun is finished first. A connection that is lost is made anew, however
    /// long that takes.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        self.run_until(stop, std::future::pending()).await;
    }

    /// The same; once `give_up` is ready, what has been begun is dropped where it is, and the server undoes it.
    pub async fn run_until(self, stop: impl Future<Output = ()>, give_up: impl Future<Output = ()>) {
        select(pin!(self.work(stop)), pin!(give_up)).await;
    }

    async fn work(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            let pause = match self.round().await {
                Ok(pause) => pause,
                Err(error) if error.is_lost() => match select(stop.as_mut(), pin!(self.reconnect(&error))).await {
                    Either::Left(_) => return,
                    Either::Right(_) => Duration::ZERO,
                },
                Err(error) => {
                    (self.observe)(&Event::Refused {
                        what: "cannot see to triggers".to_owned(),
                        error: error.to_string(),
                    });
                    AFTER_REFUSAL
                }
            };
            if let Either::Left(_) = select(stop.as_mut(), pin!(tokio::time::sleep(pause))).await {
                return;
            }
        }
    }

    /// Does what is due, and says how long nothing will be.
    async fn round(&mut self) -> Result<Duration, DatabaseError> {
        if self.list_due <= Instant::now() {
            let before = self.queues();
            self.list().await?;
            if before != self.queues() {
                (self.observe)(&Event::Watching { queues: self.queues() });
            }
        }
        if self.fire_due <= Instant::now() {
            self.fire().await?;
        }
        for at in 0..self.sources.len() {
            if self.sources[at].due <= Instant::now() {
                self.take_from(at).await?;
            }
        }
        if self.tidy_due <= Instant::now() {
            self.tidy_due = Instant::now() + TIDY_EVERY;
            tidy(self.connection()?).await?;
        }
        let dues = self.sources.iter().map(|source| source.due).chain([self.list_due, self.fire_due, self.tidy_due]);
        let next = dues.min().unwrap_or(self.list_due);
        Ok(next.saturating_duration_since(Instant::now()))
    }

    async fn list(&mut self) -> Result<(), DatabaseError> {
        let now = Instant::now();
        self.list_due = now + LIST_EVERY;
        let triggers = within(queue_triggers(self.connection()?)).await?;
        let due = |trigger: &QueueTrigger| {
            self.sources.iter().find(|source| source.trigger == *trigger).map_or(now, |source| source.due)
        };
        self.sources = triggers.into_iter().map(|trigger| Source { due: due(&trigger), trigger }).collect();
        Ok(())
    }

    /// Schedules that are refused do not keep queues from their turn.
    async fn fire(&mut self) -> Result<(), DatabaseError> {
        self.fire_due = Instant::now() + AFTER_REFUSAL;
        let tick = match within(fire_due(self.connection()?)).await {
            Ok(tick) => tick,
            Err(error) if error.is_lost() => return Err(error),
            Err(error) => {
                let what = "cannot see to schedules".to_owned();
                (self.observe)(&Event::Refused { what, error: error.to_string() });
                return Ok(());
            }
        };
        self.fire_due = Instant::now() + tick.pause;
        for firing in tick.fired {
            (self.observe)(&Event::Fired(firing));
        }
        for failed in tick.failed {
            (self.observe)(&Event::FiringFailed(failed));
        }
        Ok(())
    }

    /// Takes batches while there are any. A queue that is not there, or that refuses, does not keep the others from their turn.
    async fn take_from(&mut self, at: usize) -> Result<(), DatabaseError> {
        let trigger = self.sources[at].trigger.clone();
        let name = format!("{}:{}", trigger.flow, trigger.name);
        self.sources[at].due = Instant::now() + self.poll_interval;
        for _ in 0..IN_A_ROW {
            let batch = match take(self.connection()?, &trigger).await {
                Ok(batch) => batch,
                Err(error) if error.is_lost() => return Err(error),
                Err(error) => {
                    self.sources[at].due = Instant::now() + AFTER_REFUSAL;
                    let what = format!("{name}: cannot take from the queue {}", trigger.queue);
                    (self.observe)(&Event::Refused { what, error: error.to_string() });
                    return Ok(());
                }
            };
            if batch.started > 0 {
                (self.observe)(&Event::Took { trigger: name.clone(), started: batch.started });
            }
            if batch.known > 0 {
                (self.observe)(&Event::Known { trigger: name.clone(), events: batch.known });
            }
            for event in batch.failed {
                (self.observe)(&Event::EventFailed { trigger: name.clone(), event });
            }
            if batch.events == 0 {
                return Ok(());
            }
        }
        self.sources[at].due = Instant::now();
        Ok(())
    }

    async fn reconnect(&mut self, error: &DatabaseError) {
        self.connection = None;
        let mut pause = self.pauses.lost();
        (self.observe)(&Event::Disconnected { error: error.to_string(), again_in: pause });
        loop {
            tokio::time::sleep(pause).await;
            match self.target.connect().await {
                Ok(connection) => {
                    self.connection = Some(connection);
                    self.pauses.connected();
                    (self.observe)(&Event::Reconnected);
                    return;
                }
                Err(error) => {
                    pause = self.pauses.failed();
                    (self.observe)(&Event::NotConnected { error: error.to_string(), again_in: pause });
                }
            }
        }
    }

    fn connection(&mut self) -> Result<&mut PgConnection, DatabaseError> {
        self.connection.as_mut().ok_or_else(|| DatabaseError::new(Failure::Lost, "there is no connection".to_owned()))
    }

    fn queues(&self) -> Vec<String> {
        self.sources.iter().map(|source| format!("{}:{}", source.trigger.kind.as_str(), source.trigger.queue)).collect()
    }
}
