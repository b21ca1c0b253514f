//! What a worker looks at now and then, since it changes seldom: options of steps, queues that are gone, older versions of its
//! flows that nobody works on.

use std::collections::{BTreeMap, BTreeSet};

use super::event::Event;
use super::link::Link;
use super::shared::Shared;
use flowsmith_postgres::database::DatabaseError;

/// What it has found.
#[derive(Debug, Default)]
pub(super) struct Rounds {
    /// Flows whose queue is gone.
    gone: BTreeSet<String>,
    /// Older versions with runs that nobody works on, of which it has told.
    alone: BTreeMap<String, i64>,
}

impl Rounds {
    /// Reads the options of steps anew, and looks for runs that nobody works on.
    pub(super) async fn go(&mut self, shared: &Shared, link: &mut Link<'_>) -> Result<(), DatabaseError> {
        tune(shared, link).await?;
        let Some(connection) = link.get().await else { return Ok(()) };
        if shared.older.is_empty() {
            return Ok(());
        }
        let slugs: Vec<String> = shared.older.iter().map(|version| version.database_slug()).collect();
        let alone = shared.tools.engine.left_alone(connection, &slugs).await?;
        for (version, slug) in shared.older.iter().zip(slugs) {
            if let Some(runs) = alone.get(&slug).filter(|_| !self.alone.contains_key(&slug)) {
                shared.tell(&Event::OlderRuns { version: version.to_string(), runs: *runs });
            }
        }
        self.alone = alone;
        Ok(())
    }

    /// The queues that are there, as far as is known.
    pub(super) fn queues<'s>(&self, shared: &'s Shared) -> Vec<&'s str> {
        shared.flows.iter().map(|flow| flow.slug.as_str()).filter(|slug| !self.gone.contains(*slug)).collect()
    }

    /// Looks whether queues that were gone are there again.
    pub(super) async fn look_for_queues(&mut self, shared: &Shared, link: &mut Link<'_>) -> Result<(), DatabaseError> {
        if self.gone.is_empty() { Ok(()) } else { self.miss_queues(shared, link).await.map(drop) }
    }

    /// Looks which queues are gone; whether that has changed.
    pub(super) async fn miss_queues(&mut self, shared: &Shared, link: &mut Link<'_>) -> Result<bool, DatabaseError> {
        let flows: Vec<&str> = shared.flows.iter().map(|flow| flow.slug.as_str()).collect();
        let Some(connection) = link.get().await else { return Ok(false) };
        let gone: BTreeSet<String> = shared.tools.engine.gone(connection, &flows).await?.into_iter().collect();
        for flow in gone.difference(&self.gone) {
            shared.tell(&Event::QueueGone { flow: flow.clone() });
        }
        for flow in self.gone.difference(&gone) {
            shared.tell(&Event::QueueBack { flow: flow.clone() });
        }
        let has_changed = gone != self.gone;
        self.gone = gone;
        Ok(has_changed)
    }
}

async fn tune(shared: &Shared, link: &mut Link<'_>) -> Result<(), DatabaseError> {
    let flows: Vec<&str> = shared.flows.iter().map(|flow| flow.slug.as_str()).collect();
    let Some(connection) = link.get().await else { return Ok(()) };
    let found = shared.tools.engine.flows(connection, &flows).await?;
    for flow in &shared.flows {
        for (slug, facts) in found.get(&flow.slug).into_iter().flatten() {
            if let Some(step) = flow.step(slug) {
                step.tune(*facts);
            }
        }
    }
    Ok(())
}
