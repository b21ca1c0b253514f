//! Waiting until old versions are drained.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{RetireError, RetireEvent, Wait, old_versions};
use crate::runs::{OldVersion, Operator, Reconnection};
use flowsmith_core::catalog::FlowId;

/// The pause between two looks.
const INTERVAL: Duration = Duration::from_secs(2);
/// How often unchanged versions are reported again.
const REMINDER: Duration = Duration::from_secs(30);

/// A version that is not drained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Busy {
    /// The version.
    pub id: FlowId,
    /// Its runs that have not ended.
    pub under_way: u64,
    /// The messages in its queue.
    pub messages: u64,
    /// Its workers that are alive.
    pub workers: u32,
}

impl Busy {
    fn of(version: &OldVersion) -> Self {
        Self {
            id: version.id(),
            under_way: version.under_way,
            messages: version.messages.unwrap_or(0),
            workers: version.workers,
        }
    }
}

/// Reads these versions, once all of them are drained.
///
/// # Errors
/// If one is not drained, or not in time, or the database cannot be reached for a minute.
pub(super) async fn drained(
    operator: &mut Operator,
    ids: &[FlowId],
    wait: Wait,
    observe: &mut impl FnMut(RetireEvent<'_>),
) -> Result<Vec<OldVersion>, RetireError> {
    let began = Instant::now();
    let mut reported: Option<(Vec<Busy>, Instant)> = None;
    let mut reconnection = Reconnection::default();
    loop {
        let mut versions = match old_versions(operator).await {
            Err(error) if wait != Wait::No && error.is_lost() => {
                reconnection.reconnect(operator, error, |error| observe(RetireEvent::ConnectionLost(error))).await?;
                continue;
            }
            versions => versions?,
        };
        reconnection.answered();
        versions.retain(|version| ids.contains(&version.id()));
        let busy: Vec<Busy> = versions.iter().filter(|version| !version.is_drained).map(Busy::of).collect();
        if busy.is_empty() {
            return Ok(versions);
        }
        if is_over(wait, began.elapsed()) {
            return Err(RetireError::NotDrained(busy));
        }
        if reported.is_none() {
            observe(RetireEvent::Waiting(&versions));
        }
        let is_news = |(last, at): &(Vec<Busy>, Instant)| *last != busy || at.elapsed() >= REMINDER;
        if reported.as_ref().is_none_or(is_news) {
            observe(RetireEvent::NotDrained(&busy, began.elapsed()));
            reported = Some((busy, Instant::now()));
        }
        sleep(INTERVAL).await;
    }
}

fn is_over(wait: Wait, waited: Duration) -> bool {
    match wait {
        Wait::No => true,
        Wait::UntilDrained(timeout) => timeout.is_some_and(|timeout| waited >= timeout),
    }
}
