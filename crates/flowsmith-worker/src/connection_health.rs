//! The health of a worker's connections: whether the database answers, and since when.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The longest time between two heartbeats of a healthy worker, which writes one every 5 s.
const MAX_HEARTBEAT_AGE: Duration = Duration::from_secs(20);

/// The health of a worker's connections.
#[derive(Debug, Default)]
pub(crate) struct ConnectionHealth {
    /// Whether the last event of any connection was a loss or a failed attempt to connect.
    is_lost: AtomicBool,
    /// The time of the last heartbeat, in milliseconds since 1970; 0 before the first.
    last_heartbeat: AtomicU64,
    reconnects: AtomicU64,
    is_listening: AtomicBool,
    is_draining: AtomicBool,
}

/// Why a worker claims no tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotReady {
    Draining,
    Disconnected,
    /// The database answers, but rejects all claims.
    ClaimsRejected,
}

impl ConnectionHealth {
    pub(crate) fn record_loss(&self) {
        self.is_lost.store(true, Ordering::Relaxed);
    }

    pub(crate) fn record_connect(&self, replaces_lost: bool) {
        self.is_lost.store(false, Ordering::Relaxed);
        self.reconnects.fetch_add(replaces_lost.into(), Ordering::Relaxed);
    }

    pub(crate) fn record_heartbeat(&self) {
        self.is_lost.store(false, Ordering::Relaxed);
        let now = since_1970().as_millis();
        self.last_heartbeat.store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn record_draining(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn set_listening(&self, is_listening: bool) {
        self.is_listening.store(is_listening, Ordering::Relaxed);
    }

    /// Whether notifications wake the worker.
    pub(crate) fn is_listening(&self) -> bool {
        self.is_listening.load(Ordering::Relaxed)
    }

    /// The number of connections that replaced lost ones.
    pub(crate) fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    /// The time of the last heartbeat, in seconds since 1970; none before the first.
    pub(crate) fn last_heartbeat(&self) -> Option<f64> {
        let heartbeat = Duration::from_millis(self.last_heartbeat.load(Ordering::Relaxed));
        (!heartbeat.is_zero()).then_some(heartbeat.as_secs_f64())
    }

    /// Why the worker cannot claim tasks; none if it can.
    pub(crate) fn not_ready(&self) -> Option<NotReady> {
        if self.is_draining.load(Ordering::Relaxed) {
            return Some(NotReady::Draining);
        }
        // A network that drops every packet reports no error, but stops the heartbeat.
        let age = |heartbeat: f64| since_1970().as_secs_f64() - heartbeat;
        let is_silent = self.last_heartbeat().is_some_and(|last| age(last) > MAX_HEARTBEAT_AGE.as_secs_f64());
        (is_silent || self.is_lost.load(Ordering::Relaxed)).then_some(NotReady::Disconnected)
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}
