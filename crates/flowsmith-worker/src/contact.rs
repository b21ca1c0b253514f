//! What a worker knows of its database: whether it answers, when it last took a heartbeat.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest time between two heartbeats of a worker that is well: they come every 5 s.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a worker knows of its database.
#[derive(Debug, Default)]
pub(super) struct Contact {
    /// Whether the last that any connection heard of the database is that it is away.
    is_lost: AtomicBool,
    /// Milliseconds since 1970 of the last heartbeat that the database took; 0 before the first.
    beat: AtomicU64,
    reconnects: AtomicU64,
    is_draining: AtomicBool,
}

/// Why a worker takes no tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Idle {
    Draining,
    Lost,
    /// The database answers, and refuses to hand out tasks.
    Refused,
}

impl Contact {
    pub(super) fn lose(&self) {
        self.is_lost.store(true, Ordering::Relaxed);
    }

    /// A connection is made; `again`: in place of one that was lost.
    pub(super) fn connect(&self, again: bool) {
        self.is_lost.store(false, Ordering::Relaxed);
        self.reconnects.fetch_add(again.into(), Ordering::Relaxed);
    }

    /// The database has taken a heartbeat.
    pub(super) fn beat(&self) {
        self.is_lost.store(false, Ordering::Relaxed);
        let now = since_1970().as_millis();
        self.beat.store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(super) fn drain(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    /// How many connections were made in place of lost ones.
    pub(super) fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    /// Seconds since 1970 of the last heartbeat that the database took; none before the first.
    pub(super) fn last_beat(&self) -> Option<f64> {
        let beat = Duration::from_millis(self.beat.load(Ordering::Relaxed));
        (!beat.is_zero()).then_some(beat.as_secs_f64())
    }

    /// Why it takes no tasks; none where it does.
    pub(super) fn idle(&self) -> Option<Idle> {
        if self.is_draining.load(Ordering::Relaxed) {
            return Some(Idle::Draining);
        }
        // A network that swallows everything shows in heartbeats only.
        let is_silent = self.last_beat().is_some_and(|beat| since_1970().as_secs_f64() - beat > PATIENCE.as_secs_f64());
        (is_silent || self.is_lost.load(Ordering::Relaxed)).then_some(Idle::Lost)
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
