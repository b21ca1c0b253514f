//! Whether a worker's flow files are what the database holds.

use std::sync::Arc;

use flowsmith_core::catalog::{Catalog, Flow};
use flowsmith_core::diff::{Change, FlowDelta, diff};
use flowsmith_postgres::introspection::Live;

/// How flows of the files differ from the database, a text each. Flows that are not there at all are left out: a worker finds
/// out about these itself. So are handlers, which the engine does not hold, and triggers, which it does no work for and whose
/// ledger its role may not read.
pub fn mismatches(flows: &[Arc<Flow>], live: &Live) -> Vec<String> {
    let (mut meant, mut held) = (Catalog::new(), Catalog::new());
    for flow in flows {
        if let Some(found) = live.catalog.get(&flow.id.database_slug()) {
            held.insert(Arc::clone(found));
            meant.insert(Arc::clone(flow));
        }
    }
    let mut texts = Vec::new();
    for change in diff(&held, &meant).changes {
        let Change::Alter(alteration) = &change else { continue };
        for delta in &alteration.deltas {
            let is_elsewhere = matches!(
                delta,
                FlowDelta::Id(_)
                    | FlowDelta::State(_)
                    | FlowDelta::Annotations(_)
                    | FlowDelta::TriggerAdded(_)
                    | FlowDelta::TriggerRemoved(_)
                    | FlowDelta::Trigger(_)
                    | FlowDelta::Triggers
            );
            if !is_elsewhere {
                texts.push(format!("{}: {delta}", alteration.to.id));
            }
        }
    }
    let lost = flows.iter().map(|flow| flow.id.database_slug()).filter(|slug| live.without_queue.contains(slug));
    texts
        .extend(lost.map(|slug| format!("{slug}: the queue is missing; `flowsmith compile --from-live` recreates it")));
    texts
}
