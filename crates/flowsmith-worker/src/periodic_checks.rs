//! Checks of what rarely changes: options of steps, missing queues, and runs of older versions that no worker serves.

use std::collections::{BTreeMap, BTreeSet};

use crate::connection::Connection;
use crate::event::Event;
use crate::shared::Shared;
use flowsmith_postgres::database::DatabaseError;

/// The results of the last checks.
#[derive(Debug, Default)]
pub(crate) struct PeriodicChecks {
    /// Flows whose queue is missing.
    missing_queues: BTreeSet<String>,
    /// Older versions with runs that no worker serves, as reported.
    unserved: BTreeMap<String, i64>,
}

impl PeriodicChecks {
    /// Reads the options of steps, and finds runs that no worker serves.
    pub(crate) async fn run(&mut self, shared: &Shared, connection: &mut Connection<'_>) -> Result<(), DatabaseError> {
        tune_steps(shared, connection).await?;
        let Some(open) = connection.get().await else { return Ok(()) };
        if shared.older_versions.is_empty() {
            return Ok(());
        }
        let slugs: Vec<String> = shared.older_versions.iter().map(|version| version.database_slug()).collect();
        let unserved = shared.services.engine.unserved_runs(open, &slugs).await?;
        for (version, slug) in shared.older_versions.iter().zip(slugs) {
            if let Some(runs) = unserved.get(&slug).filter(|_| !self.unserved.contains_key(&slug)) {
                shared.emit(&Event::UnservedRuns { version: version.to_string(), runs: *runs });
            }
        }
        self.unserved = unserved;
        Ok(())
    }

    /// The flows whose queue is not known to be missing.
    pub(crate) fn existing_queues<'s>(&self, shared: &'s Shared) -> Vec<&'s str> {
        shared.slugs().into_iter().filter(|slug| !self.missing_queues.contains(*slug)).collect()
    }

    /// Checks whether missing queues exist again.
    pub(crate) async fn recheck_missing_queues(
        &mut self,
        shared: &Shared,
        connection: &mut Connection<'_>,
    ) -> Result<(), DatabaseError> {
        if self.missing_queues.is_empty() {
            return Ok(());
        }
        self.find_missing_queues(shared, connection).await.map(drop)
    }

    /// Checks which queues are missing, and returns whether that has changed.
    pub(crate) async fn find_missing_queues(
        &mut self,
        shared: &Shared,
        connection: &mut Connection<'_>,
    ) -> Result<bool, DatabaseError> {
        let Some(open) = connection.get().await else { return Ok(false) };
        let missing = shared.services.engine.missing_queues(open, &shared.slugs()).await?;
        let missing: BTreeSet<String> = missing.into_iter().collect();
        for flow in missing.difference(&self.missing_queues) {
            shared.emit(&Event::QueueMissing { flow: flow.clone() });
        }
        for flow in self.missing_queues.difference(&missing) {
            shared.emit(&Event::QueueRestored { flow: flow.clone() });
        }
        let has_changed = missing != self.missing_queues;
        self.missing_queues = missing;
        Ok(has_changed)
    }
}

/// Applies options of steps that were tuned in the database.
async fn tune_steps(shared: &Shared, connection: &mut Connection<'_>) -> Result<(), DatabaseError> {
    let Some(open) = connection.get().await else { return Ok(()) };
    let steps = shared.services.engine.steps(open, &shared.slugs()).await?;
    for flow in &shared.flows {
        for (slug, options) in steps.get(&flow.slug).into_iter().flatten() {
            if let Some(step) = flow.step(slug) {
                step.tune(*options);
            }
        }
    }
    Ok(())
}
