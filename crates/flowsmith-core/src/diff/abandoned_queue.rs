//! Queues of PgQ that no trigger reads any more after a change.

use std::collections::BTreeSet;
use std::fmt;

use super::Change;
use crate::catalog::{Flow, QueueKind, State, TriggerSource};

/// A queue of PgQ that a trigger unsubscribes from: the events that it has not read there start no run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbandonedQueue {
    /// The trigger's name.
    pub trigger: String,
    /// The queue's name.
    pub queue: String,
}

impl fmt::Display for AbandonedQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} stops consuming pgq:{}: its unconsumed events start no run", self.trigger, self.queue)
    }
}

/// A consumer of PgQ: flow, trigger, queue.
type Consumer<'c> = (&'c str, &'c str, &'c str);

/// The queues that triggers abandon with these changes, one list per change. A trigger that another version of its flow keeps is
/// not among them.
pub fn abandoned_queues(changes: &[Change]) -> Vec<Vec<AbandonedQueue>> {
    let after = changes.iter().filter_map(Change::result).flat_map(|flow| consumers(flow));
    let kept: BTreeSet<Consumer<'_>> = after.collect();
    let abandoned = |change: &Change| -> Vec<AbandonedQueue> {
        let before = match change {
            Change::Create(_) => return Vec::new(),
            Change::Alter(alteration) => &alteration.from,
            Change::Drop(flow) => flow,
        };
        let gone = consumers(before).filter(|consumer| !kept.contains(consumer));
        gone.map(|(_, trigger, queue)| AbandonedQueue { trigger: trigger.to_owned(), queue: queue.to_owned() })
            .collect()
    };
    changes.iter().map(abandoned).collect()
}

/// The consumers of a flow version: only the current one has any.
fn consumers(flow: &Flow) -> impl Iterator<Item = Consumer<'_>> {
    let triggers = if flow.state == State::Current { flow.triggers.as_slice() } else { &[] };
    triggers.iter().filter_map(|trigger| match &trigger.source {
        TriggerSource::Queue { kind: QueueKind::Pgq, queue, .. } => {
            Some((flow.id.slug.as_str(), trigger.name.as_str(), queue.as_str()))
        }
        _ => None,
    })
}
