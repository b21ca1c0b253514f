//! Reads a live database: renders the query, and turns its rows into a [`Live`].

use std::collections::HashMap;

use futures_util::TryStreamExt as _;
use minijinja::{Environment, UndefinedBehavior};
use serde::de::DeserializeOwned;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Column as _, Either, Row as _};

use super::{Live, LiveShape, TriggerDifference};
use crate::database::{DatabaseError, Failure};
use crate::ledger::LedgerEntry;
use flowsmith_core::catalog::{
    Annotations, FailureMode, Flow, FlowId, FlowOptions, State, Step, StepKind, canonical_json,
};

/// Reads a database in one round trip and one snapshot. Writes nothing.
///
/// # Errors
/// If the server refuses a statement, the connection fails, or a table holds a value that this program cannot read.
pub async fn read_snapshot(connection: &mut PgConnection, shape: LiveShape) -> Result<Live, DatabaseError> {
    let statements = statements(shape);
    read_result_sets(connection, format!("begin isolation level repeatable read, read only;\n{statements}\ncommit;"))
        .await
}

/// Reads a database in one round trip, in the open transaction. Writes nothing.
///
/// # Errors
/// As [`read_snapshot`].
pub async fn read(connection: &mut PgConnection, shape: LiveShape) -> Result<Live, DatabaseError> {
    read_result_sets(connection, statements(shape)).await
}

fn statements(shape: LiveShape) -> String {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates
        .render_str(include_str!("introspect.sql"), minijinja::value::Serde(&shape))
        .expect("the fields that the template reads are in the shape, as the tests render it")
}

async fn read_result_sets(connection: &mut PgConnection, text: String) -> Result<Live, DatabaseError> {
    let mut reader = Reader::default();
    let mut result_set = None;
    let mut results = sqlx::raw_sql(AssertSqlSafe(text)).fetch_many(&mut *connection);
    while let Some(item) = results.try_next().await? {
        match item {
            Either::Left(_) => result_set = None,
            Either::Right(row) => reader.read(*result_set.get_or_insert_with(|| ResultSet::of(&row)), &row)?,
        }
    }
    Ok(reader.finish())
}

/// A result set of `introspect.sql` with the positions of its columns. The names are looked up once per result set: a
/// large database has hundreds of thousands of rows.
#[derive(Clone, Copy)]
enum ResultSet {
    Flows([usize; 10]),
    Steps([usize; 11]),
    Dependencies([usize; 3]),
    Ledger([usize; 5]),
    TriggerDifferences([usize; 5]),
    Unscheduled([usize; 2]),
}

impl ResultSet {
    fn of(row: &PgRow) -> Self {
        let has = |name: &str| row.columns().iter().any(|column| column.name() == name);
        if has("has_queue") {
            Self::Flows(positions(
                row,
                [
                    "flow_slug",
                    "opt_max_attempts",
                    "opt_base_delay",
                    "opt_timeout",
                    "has_queue",
                    "flow",
                    "version",
                    "state",
                    "annotations",
                    "triggers",
                ],
            ))
        } else if has("step_type") {
            Self::Steps(positions(
                row,
                [
                    "flow_slug",
                    "step_slug",
                    "step_type",
                    "opt_max_attempts",
                    "opt_base_delay",
                    "opt_timeout",
                    "opt_start_delay",
                    "required",
                    "forbidden",
                    "when_unmet",
                    "when_exhausted",
                ],
            ))
        } else if has("dep_slug") {
            Self::Dependencies(positions(row, ["flow_slug", "step_slug", "dep_slug"]))
        } else if has("checksum") {
            Self::Ledger(positions(row, ["version", "name", "checksum", "applied_at", "applied_by"]))
        } else if has("difference") {
            Self::TriggerDifferences(positions(row, ["flow", "trigger", "difference", "declared", "broken"]))
        } else {
            Self::Unscheduled(positions(row, ["flow", "unscheduled"]))
        }
    }
}

fn positions<const N: usize>(row: &PgRow, names: [&str; N]) -> [usize; N] {
    names.map(|name| {
        let position = row.columns().iter().position(|column| column.name() == name);
        position.expect("the columns of introspect.sql, as the tests read them all")
    })
}

#[derive(Default)]
struct Reader {
    flows: Vec<Flow>,
    /// Positions in `flows` by database slug.
    positions: HashMap<String, usize>,
    /// Positions in the flow's `steps`, by position of the flow and slug of the step.
    steps: HashMap<(usize, String), usize>,
    live: Live,
}

impl Reader {
    fn read(&mut self, result_set: ResultSet, row: &PgRow) -> Result<(), DatabaseError> {
        match result_set {
            ResultSet::Flows(columns) => self.flow(row, columns),
            ResultSet::Steps(columns) => self.step(row, columns),
            ResultSet::Dependencies(columns) => self.dependency(row, columns),
            ResultSet::Ledger(columns) => self.ledger_entry(row, columns),
            ResultSet::TriggerDifferences(columns) => self.trigger_difference(row, columns),
            ResultSet::Unscheduled([flow, trigger]) => {
                self.live.unscheduled.push((row.try_get(flow)?, row.try_get(trigger)?));
                Ok(())
            }
        }
    }

    fn flow(
        &mut self,
        row: &PgRow,
        [slug, max_attempts, base_delay, timeout, has_queue, flow, version, state, annotations, triggers]: [usize; 10],
    ) -> Result<(), DatabaseError> {
        let database_slug: String = row.try_get(slug)?;
        let id = match row.try_get::<Option<String>, _>(flow)? {
            Some(slug) => FlowId { slug, version: read_version(row.try_get(version)?)? },
            None => FlowId::new(database_slug.clone(), 1),
        };
        let state = read_state(row.try_get(state)?)?;
        let annotations = match row.try_get::<Option<&str>, _>(annotations)? {
            None => Annotations::default(),
            Some(text) => read_json("annotations", text)?,
        };
        let triggers = match row.try_get::<Option<&str>, _>(triggers)? {
            None => Vec::new(),
            Some(text) => read_json("trigger", text)?,
        };
        let options = FlowOptions {
            max_attempts: row.try_get(max_attempts)?,
            base_delay: row.try_get(base_delay)?,
            timeout: row.try_get(timeout)?,
        };
        if !row.try_get::<bool, _>(has_queue)? {
            self.live.without_queue.insert(database_slug.clone());
        }
        self.positions.insert(database_slug, self.flows.len());
        self.flows.push(Flow { id, state, options, steps: Vec::new(), annotations, triggers });
        Ok(())
    }

    fn step(
        &mut self,
        row: &PgRow,
        [flow, slug, kind, max_attempts, base_delay, timeout, start_delay, required, forbidden, unmet, exhausted]: [usize;
            11],
    ) -> Result<(), DatabaseError> {
        let position = self.position("step", row.try_get(flow)?)?;
        let slug: String = row.try_get(slug)?;
        let pattern = |column: usize| {
            let text: Option<&str> = row.try_get(column)?;
            text.map(|text| read_json("pattern", text)).transpose()
        };
        let step = Step {
            kind: match row.try_get(kind)? {
                "single" => StepKind::Single,
                "map" => StepKind::Map,
                other => return Err(unreadable("step_type", other)),
            },
            depends_on: Vec::new(),
            max_attempts: row.try_get(max_attempts)?,
            base_delay: row.try_get(base_delay)?,
            timeout: row.try_get(timeout)?,
            start_delay: row.try_get(start_delay)?,
            required_input_pattern: pattern(required)?,
            forbidden_input_pattern: pattern(forbidden)?,
            when_unmet: read_mode(row.try_get(unmet)?)?,
            when_exhausted: read_mode(row.try_get(exhausted)?)?,
            slug: slug.clone(),
        };
        self.steps.insert((position, slug), self.flows[position].steps.len());
        self.flows[position].steps.push(step);
        Ok(())
    }

    fn dependency(&mut self, row: &PgRow, [flow, step, dependency]: [usize; 3]) -> Result<(), DatabaseError> {
        let position = self.position("dependency", row.try_get(flow)?)?;
        let key = (position, row.try_get(step)?);
        let step = *self.steps.get(&key).ok_or_else(|| unreadable("step of a dependency", &key.1))?;
        self.flows[position].steps[step].depends_on.push(row.try_get(dependency)?);
        Ok(())
    }

    /// The position of the flow that this row belongs to. A foreign key guarantees that the flow exists.
    fn position(&self, row: &str, flow: &str) -> Result<usize, DatabaseError> {
        self.positions.get(flow).copied().ok_or_else(|| unreadable(&format!("flow of a {row}"), flow))
    }

    fn ledger_entry(
        &mut self,
        row: &PgRow,
        [version, name, checksum, applied_at, applied_by]: [usize; 5],
    ) -> Result<(), DatabaseError> {
        self.live.ledger.push(LedgerEntry {
            version: row.try_get(version)?,
            name: row.try_get(name)?,
            checksum: row.try_get(checksum)?,
            applied_at: row.try_get(applied_at)?,
            applied_by: row.try_get(applied_by)?,
        });
        Ok(())
    }

    fn trigger_difference(
        &mut self,
        row: &PgRow,
        [flow, trigger, difference, declared, broken]: [usize; 5],
    ) -> Result<(), DatabaseError> {
        self.live.trigger_differences.push(TriggerDifference {
            flow: row.try_get(flow)?,
            trigger: row.try_get(trigger)?,
            difference: row.try_get(difference)?,
            declared: row.try_get(declared)?,
            broken: row.try_get(broken)?,
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

fn read_version(version: i32) -> Result<u32, DatabaseError> {
    u32::try_from(version).map_err(|_| unreadable("version", &version.to_string()))
}

fn read_state(state: Option<&str>) -> Result<State, DatabaseError> {
    match state {
        None => Ok(State::Unmanaged),
        Some("current") => Ok(State::Current),
        Some("draining") => Ok(State::Draining),
        Some("retired") => Ok(State::Retired),
        Some(other) => Err(unreadable("state", other)),
    }
}

fn read_mode(mode: &str) -> Result<FailureMode, DatabaseError> {
    match mode {
        "fail" => Ok(FailureMode::Fail),
        "skip" => Ok(FailureMode::Skip),
        "skip-cascade" => Ok(FailureMode::SkipCascade),
        other => Err(unreadable("skip mode", other)),
    }
}

fn read_json<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, DatabaseError> {
    serde_json::from_str(text)
        .and_then(|value| serde_json::from_value(canonical_json(value)))
        .map_err(|_| unreadable(what, text))
}

fn unreadable(what: &str, value: &str) -> DatabaseError {
    DatabaseError::new(Failure::Sql, format!("the database holds a {what} that flowsmith cannot read: {value}"))
        .with_hint("someone wrote to the tables directly, or the engine is newer than this flowsmith knows")
}
