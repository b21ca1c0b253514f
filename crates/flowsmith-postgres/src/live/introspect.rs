//! Reads the live catalog in one round trip.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

use futures_util::TryStreamExt as _;
use minijinja::{Environment, UndefinedBehavior};
use serde::Serialize;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Either, Row as _};

use crate::database::{DatabaseError, Failure};
use crate::ledger::LedgerEntry;
use flowsmith_core::catalog::{
    Annotations, Catalog, FailureMode, Flow, FlowId, FlowOptions, State, Step, StepKind, canonical_json,
};
use flowsmith_core::sql::quote::literal;

/// The live state of a database.
#[derive(Debug, Clone, Default)]
pub struct Live {
    /// The flows. An unrecorded flow is [`State::Unmanaged`], and its slug serves as its name.
    pub catalog: Catalog,
    /// The applied migrations, oldest first.
    pub ledger: Vec<LedgerEntry>,
    /// Database slugs of flows whose queue is missing.
    pub without_queue: BTreeSet<String>,
    /// Differences between the active triggers and the recorded ones.
    pub trigger_differences: Vec<TriggerDifference>,
    /// Schedules that pg_cron does not run, as flow and name; a worker with `--schedule` runs them.
    pub unscheduled: Vec<(String, String)>,
}

/// A difference between an active trigger and its record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TriggerDifference {
    /// The slug of the flow.
    pub flow: String,
    /// The name of the trigger.
    pub trigger: String,
    /// The difference, as a predicate whose subject is the trigger.
    pub difference: String,
    /// Whether a current flow version declares the trigger; if not, it is superfluous.
    pub declared: bool,
    /// Whether the trigger matches its record but does not work, because its expressions refer to objects that are missing or
    /// not accessible.
    pub broken: bool,
}

impl fmt::Display for TriggerDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: trigger {}: {}", self.flow, self.trigger, self.difference)
    }
}

/// A job of pg_cron.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignJob {
    /// The name of the job, or its number if it has no name.
    pub name: String,
    /// The schedule.
    pub schedule: String,
    /// The command.
    pub command: String,
}

/// The tables and columns that can be read.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct LiveShape {
    /// The columns of engine level 0.14 exist.
    pub conditions: bool,
    /// The schema `flowsmith` exists.
    pub ledger: bool,
    /// The schema has version 3 or later, which supports triggers, and the role may read them.
    pub triggers: bool,
}

/// Reads the live state in one round trip and one snapshot. Writes nothing.
///
/// # Errors
/// If the server rejects a query or the connection fails.
pub async fn read_snapshot(connection: &mut PgConnection, shape: LiveShape) -> Result<Live, DatabaseError> {
    let statements = statements(shape);
    let text = format!("begin isolation level repeatable read, read only;\n{statements}\ncommit;");
    // `begin` completes first, so the result sets count from 1.
    read_result_sets(connection, text, 1).await
}

/// Reads the live state in one round trip within the open transaction.
///
/// # Errors
/// If the server rejects a query or the connection fails.
pub async fn read(connection: &mut PgConnection, shape: LiveShape) -> Result<Live, DatabaseError> {
    read_result_sets(connection, statements(shape), 0).await
}

fn statements(shape: LiveShape) -> String {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates
        .render_str(include_str!("../../templates/introspect.sql"), minijinja::value::Serde(&shape))
        .expect("the fields that the template reads are in the shape, as the tests render it")
}

async fn read_result_sets(
    connection: &mut PgConnection,
    text: String,
    first_set: usize,
) -> Result<Live, DatabaseError> {
    let mut reader = Reader::default();
    let mut set = 0;
    let mut results = sqlx::raw_sql(AssertSqlSafe(text)).fetch_many(&mut *connection);
    while let Some(item) = results.try_next().await? {
        match item {
            Either::Left(_) => set += 1,
            Either::Right(row) => match set - first_set {
                0 => reader.flow(&row)?,
                1 => reader.step(&row)?,
                2 => reader.dependency(&row)?,
                3 => reader.ledger_entry(&row)?,
                4 => reader.trigger_difference(&row)?,
                _ => reader.live.unscheduled.push((row.try_get(0)?, row.try_get(1)?)),
            },
        }
    }
    Ok(reader.finish())
}

#[derive(Default)]
struct Reader {
    flows: Vec<Flow>,
    /// Index in `flows` by database slug.
    places: HashMap<String, usize>,
    /// Index in the flow's `steps`, by index of the flow and slug of the step.
    steps: HashMap<(usize, String), usize>,
    live: Live,
}

impl Reader {
    fn flow(&mut self, row: &PgRow) -> Result<(), DatabaseError> {
        let database_slug: String = row.try_get(0)?;
        let flow: Option<String> = row.try_get(5)?;
        let id = match flow {
            Some(slug) => {
                let version: i32 = row.try_get(6)?;
                FlowId {
                    slug,
                    version: u32::try_from(version).map_err(|_| unreadable("version", &version.to_string()))?,
                }
            }
            None => FlowId::new(database_slug.clone(), 1),
        };
        let state = match row.try_get::<Option<&str>, _>(7)? {
            None => State::Unmanaged,
            Some("current") => State::Current,
            Some("draining") => State::Draining,
            Some("retired") => State::Retired,
            Some(other) => return Err(unreadable("state", other)),
        };
        let annotations = match row.try_get::<Option<&str>, _>(8)? {
            None => Annotations::default(),
            Some(text) => serde_json::from_str(text)
                .and_then(|value| serde_json::from_value(canonical_json(value)))
                .map_err(|_| unreadable("annotations", text))?,
        };
        let triggers = match row.try_get::<Option<&str>, _>(9)? {
            None => Vec::new(),
            Some(text) => serde_json::from_str(text)
                .and_then(|value| serde_json::from_value(canonical_json(value)))
                .map_err(|_| unreadable("trigger", text))?,
        };
        let options =
            FlowOptions { max_attempts: row.try_get(1)?, base_delay: row.try_get(2)?, timeout: row.try_get(3)? };
        if !row.try_get::<bool, _>(4)? {
            self.live.without_queue.insert(database_slug.clone());
        }
        self.places.insert(database_slug, self.flows.len());
        self.flows.push(Flow { id, state, options, steps: Vec::new(), annotations, triggers });
        Ok(())
    }

    fn step(&mut self, row: &PgRow) -> Result<(), DatabaseError> {
        let flow: &str = row.try_get(0)?;
        // A foreign key guarantees that the flow exists.
        let place = *self.places.get(flow).ok_or_else(|| unreadable("flow of a step", flow))?;
        let slug: String = row.try_get(1)?;
        let pattern = |index: usize| -> Result<Option<serde_json::Value>, DatabaseError> {
            let text: Option<&str> = row.try_get(index)?;
            text.map(|text| serde_json::from_str(text).map(canonical_json).map_err(|_| unreadable("pattern", text)))
                .transpose()
        };
        let mode = |index: usize| -> Result<FailureMode, DatabaseError> {
            match row.try_get(index)? {
                "fail" => Ok(FailureMode::Fail),
                "skip" => Ok(FailureMode::Skip),
                "skip-cascade" => Ok(FailureMode::SkipCascade),
                other => Err(unreadable("skip mode", other)),
            }
        };
        let step = Step {
            kind: match row.try_get(2)? {
                "single" => StepKind::Single,
                "map" => StepKind::Map,
                other => return Err(unreadable("step_type", other)),
            },
            depends_on: Vec::new(),
            max_attempts: row.try_get(3)?,
            base_delay: row.try_get(4)?,
            timeout: row.try_get(5)?,
            start_delay: row.try_get(6)?,
            required_input_pattern: pattern(7)?,
            forbidden_input_pattern: pattern(8)?,
            when_unmet: mode(9)?,
            when_exhausted: mode(10)?,
            slug: slug.clone(),
        };
        self.steps.insert((place, slug), self.flows[place].steps.len());
        self.flows[place].steps.push(step);
        Ok(())
    }

    fn dependency(&mut self, row: &PgRow) -> Result<(), DatabaseError> {
        let flow: &str = row.try_get(0)?;
        let step: String = row.try_get(1)?;
        let place = *self.places.get(flow).ok_or_else(|| unreadable("flow of a dependency", flow))?;
        let key = (place, step);
        let step = *self.steps.get(&key).ok_or_else(|| unreadable("step of a dependency", &key.1))?;
        self.flows[place].steps[step].depends_on.push(row.try_get(2)?);
        Ok(())
    }

    fn ledger_entry(&mut self, row: &PgRow) -> Result<(), DatabaseError> {
        self.live.ledger.push(LedgerEntry {
            version: row.try_get(0)?,
            name: row.try_get(1)?,
            checksum: row.try_get(2)?,
            applied_at: row.try_get(3)?,
            applied_by: row.try_get(4)?,
        });
        Ok(())
    }

    fn trigger_difference(&mut self, row: &PgRow) -> Result<(), DatabaseError> {
        self.live.trigger_differences.push(TriggerDifference {
            flow: row.try_get(0)?,
            trigger: row.try_get(1)?,
            difference: row.try_get(2)?,
            declared: row.try_get(3)?,
            broken: row.try_get(4)?,
        });
        Ok(())
    }

    fn finish(mut self) -> Live {
        for step in self.flows.iter_mut().flat_map(|flow| &mut flow.steps) {
            step.depends_on.sort_unstable();
        }
        self.live.catalog = self.flows.into_iter().collect();
        self.live
    }
}

pub(super) fn unreadable(what: &str, value: &str) -> DatabaseError {
    DatabaseError::new(Failure::Sql, format!("the database has an unknown {what}: {value}"))
        .with_hint("use a flowsmith that supports this engine, or revert direct changes of its tables")
}

/// Jobs of pg_cron in this database that start flows and were not created by flowsmith. Empty without pg_cron.
///
/// # Errors
/// If the role may not read the jobs or the connection fails.
pub async fn foreign_jobs(connection: &mut PgConnection) -> Result<Vec<ForeignJob>, DatabaseError> {
    let rows = sqlx::raw_sql(include_str!("foreign_jobs.sql")).fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok(ForeignJob { name: row.try_get(0)?, schedule: row.try_get(1)?, command: row.try_get(2)? }))
        .collect()
}

/// The number of runs of a flow version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct RunCounts {
    /// Running runs.
    pub started: i64,
    /// All runs.
    pub total: i64,
}

/// The number of runs by database slug, in one round trip. Flows without runs are omitted.
///
/// # Errors
/// If the server rejects the query or the connection fails.
pub async fn run_counts(
    connection: &mut PgConnection,
    database_slugs: &[String],
) -> Result<BTreeMap<String, RunCounts>, DatabaseError> {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.add_filter("literal", |text: &str| literal(text));
    // Not a bound parameter: that takes two round trips, which a transaction pooler may route to different servers.
    let text = templates
        .render_str(
            include_str!("../../templates/run_counts.sql"),
            minijinja::context! { slugs => database_slugs.to_vec() },
        )
        .expect("the template reads the slugs only");
    let rows = sqlx::raw_sql(AssertSqlSafe(text)).fetch_all(connection).await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, RunCounts { started: row.try_get(1)?, total: row.try_get(2)? })))
        .collect()
}
