//! What a worker does by the clock: its heartbeat, looks at its queues, the recovery of stalled tasks.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::select;

use super::engine::News;
use super::event::Event;
use super::link::Link;
use super::listen::Hearing;
use super::report::hand_back;
use super::rounds::Rounds;
use super::shared::Shared;
use flowsmith_postgres::database::{DatabaseError, within};

/// Between heartbeats.
const BEAT: Duration = Duration::from_secs(5);

/// How long the database may take for a heartbeat or a look: a worker that is silent for 30 s is thought to be dead.
const ANSWER: Duration = Duration::from_secs(15);

/// Between recoveries, as pg_cron's job has it.
const RECOVERY: Duration = Duration::from_secs(15);

/// How many recoveries in a row may be left out.
const POSTPONED: u32 = 8;

/// After what was cut off could not be cleared up.
const CLEARING: Duration = Duration::from_secs(5);

/// Between looks at what changes seldom.
const ROUND: Duration = Duration::from_secs(30);

/// The shortest time between two looks.
const SHORTEST: Duration = Duration::from_millis(50);

/// By the clock.
pub(super) struct Pulse {
    shared: Arc<Shared>,
    /// The longest time between two looks where notifications do not come.
    poll_interval: Duration,
    /// Whether nobody else recovers stalled tasks.
    recovers: bool,
    due: HashMap<usize, Instant>,
    next_beat: Instant,
    next_look: Instant,
    next_recovery: Instant,
    next_clearing: Instant,
    next_round: Instant,
    postponed: u32,
    rounds: Rounds,
    /// The time between looks, which grows while nothing happens.
    pause: Duration,
    activity: u64,
}

impl Pulse {
    pub(super) fn new(shared: Arc<Shared>, poll_interval: Duration, recovers: bool) -> Self {
        let now = Instant::now();
        Self {
            shared,
            poll_interval,
            recovers,
            due: HashMap::new(),
            next_beat: now,
            next_look: now,
            next_recovery: now,
            next_clearing: now,
            next_round: now,
            postponed: 0,
            rounds: Rounds::default(),
            pause: SHORTEST,
            activity: 0,
        }
    }

    /// Goes on until it is dropped.
    pub(super) async fn run(mut self, hearing: &Hearing) -> Infallible {
        let shared = Arc::clone(&self.shared);
        let mut link = shared.link(None);
        loop {
            let now = Instant::now();
            if let Err(error) = self.tick(&mut link, now, hearing).await
                && !link.was_lost_by(&error)
            {
                shared.tell(&Event::Refused {
                    what: "cannot write the heartbeat and check the queues".to_owned(),
                    error: error.to_string(),
                });
            }
            let asked = shared.board.look.notified();
            let until = self.next().max(now + SHORTEST);
            select(pin!(tokio::time::sleep_until(until.into())), pin!(asked)).await;
            if Instant::now() < until {
                // Somebody has asked: soon, but once for all who ask meanwhile.
                tokio::time::sleep(SHORTEST).await;
                self.next_look = Instant::now();
            }
        }
    }

    fn next(&self) -> Instant {
        let times = [Some(self.next_beat), Some(self.next_look), self.shared.board.next_rest()];
        times.into_iter().flatten().chain(self.due.values().copied()).min().unwrap_or(self.next_beat)
    }

    async fn tick(&mut self, link: &mut Link<'_>, now: Instant, hearing: &Hearing) -> Result<(), DatabaseError> {
        let shared = Arc::clone(&self.shared);
        shared.board.tidy(now);
        self.due.retain(|flow, at| {
            let is_due = *at <= now;
            if is_due {
                shared.board.want(*flow);
            }
            !is_due
        });
        // A look that comes shortly before a heartbeat is one: an idle worker that polls asks no more often than it looks.
        let is_beat = self.next_beat <= now || (self.next_look <= now && self.next_beat <= now + self.pause);
        if is_beat {
            // Before the call: a failure must not lead to another call at once.
            (self.next_beat, self.next_look) = (now + BEAT, now + BEAT);
            let ids: Vec<(&str, &str)> = shared
                .flows
                .iter()
                .zip(&shared.worker_ids)
                .map(|(flow, id)| (flow.slug.as_str(), id.as_str()))
                .collect();
            self.rounds.look_for_queues(&shared, link).await?;
            let queues = self.rounds.queues(&shared);
            let Some(connection) = link.get().await else { return Ok(()) };
            match within(ANSWER, shared.tools.engine.beat(connection, &shared.name, &ids, &queues)).await {
                Ok(news) => {
                    shared.contact.beat();
                    self.hear(&news, hearing);
                }
                Err(error) => self.miss(link, error).await?,
            }
        } else if self.next_look <= now {
            self.next_look = now + BEAT;
            let queues = self.rounds.queues(&shared);
            if !queues.is_empty() {
                let Some(connection) = link.get().await else { return Ok(()) };
                match within(ANSWER, shared.tools.engine.look(connection, &queues)).await {
                    Ok(news) => self.hear(&news, hearing),
                    Err(error) => self.miss(link, error).await?,
                }
            }
        }
        if self.next_clearing <= now {
            // Before the calls, as above.
            self.next_clearing = now + CLEARING;
            for flow in shared.board.suspects() {
                self.clear_up(link, flow).await?;
            }
            self.next_clearing = now;
        }
        if self.recovers && self.next_recovery <= now {
            self.next_recovery = now + RECOVERY;
            // What this worker has done itself is not to be done again because it takes long to tell.
            self.postponed = if shared.board.has_much_to_report() { self.postponed + 1 } else { 0 };
            if (1..=POSTPONED).contains(&self.postponed) {
                return Ok(());
            }
            let Some(connection) = link.get().await else { return Ok(()) };
            let tasks = shared.tools.engine.recover(connection).await?;
            if tasks > 0 {
                shared.tell(&Event::Recovered { tasks });
                self.next_look = now;
            }
        }
        if self.next_round <= now {
            self.next_round = now + ROUND;
            self.rounds.go(&shared, link).await?;
        }
        Ok(())
    }

    /// A heartbeat or a look has failed. Where that is because a queue is gone, the others are looked at, and the heart beats, at
    /// once.
    async fn miss(&mut self, link: &mut Link<'_>, error: DatabaseError) -> Result<(), DatabaseError> {
        if error.is_undefined_table() && self.rounds.miss_queues(&self.shared, link).await? {
            self.next_beat = Instant::now();
            return Ok(());
        }
        Err(error)
    }

    /// Plans what the queues say.
    fn hear(&mut self, news: &[News], hearing: &Hearing) {
        let now = Instant::now();
        let shared = &self.shared;
        for News { flow, due, is_deprecated } in news {
            let Some(at) = shared.flows.iter().position(|known| known.slug == *flow) else { continue };
            if *is_deprecated && shared.board.close(at) {
                shared.tell(&Event::Deprecated { flow: flow.clone() });
            }
            match due {
                Some(seconds) if *seconds <= 0.0 => shared.board.want(at),
                // A day is far enough.
                Some(seconds) => drop(self.due.insert(at, now + Duration::from_secs_f64(seconds.min(86_400.0)))),
                None => {}
            }
        }
        if hearing.is_listening() {
            self.next_look = now + BEAT;
            return;
        }
        let activity = shared.board.activity();
        let is_idle = std::mem::replace(&mut self.activity, activity) == activity;
        self.pause = if is_idle { (self.pause * 2).min(self.poll_interval) } else { SHORTEST };
        self.next_look = now + self.pause;
    }

    /// Gives back what was handed out in a poll that was cut off.
    async fn clear_up(&self, link: &mut Link<'_>, flow: usize) -> Result<(), DatabaseError> {
        let shared = &self.shared;
        let Some(connection) = link.get().await else { return Ok(()) };
        let held = shared.tools.engine.held(connection, &shared.worker_ids[flow]).await?;
        let orphans = shared.board.unknown(held);
        if !orphans.is_empty() {
            hand_back(shared, link, flow, &orphans, (false, 0)).await;
        }
        shared.board.clear(flow);
        Ok(())
    }
}
