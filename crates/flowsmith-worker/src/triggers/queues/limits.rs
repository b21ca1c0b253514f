//! Limits of consuming from queues.

use std::time::Duration;

/// The maximum number of attempts at an event. Then the event is discarded and recorded in `flowsmith.events`.
pub const MAX_ATTEMPTS: u32 = 10;

/// The maximum number of events in memory and in one statement. After an outage of its ticker, a batch of PgQ holds every event
/// since.
pub(super) const MAX_EVENTS: i32 = 100;

/// The timeout for a part of a batch, such as starting the runs of [`MAX_EVENTS`] events. A call that exceeds it counts as a lost
/// connection.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(30);

/// The delay after this number of failed attempts: 5 s, doubled with each attempt up to an hour.
pub(super) fn retry_delay(failures: u32) -> Duration {
    const MAX_DELAY: Duration = Duration::from_secs(3600);
    let factor = 2_u32.saturating_pow(failures.saturating_sub(1));
    Duration::from_secs(5).saturating_mul(factor).min(MAX_DELAY)
}
