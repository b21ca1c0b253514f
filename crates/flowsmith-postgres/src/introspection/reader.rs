//! Reads the live state of a database.

use std::collections::HashMap;
use std::sync::LazyLock;

use minijinja::context;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow as _, Row as _};

use super::{Live, LiveShape, TriggerDifference};
use crate::database::sql::{Templates, templates};
use crate::database::transaction::{Opening, Transaction, send_each};
use crate::database::{DatabaseError, Failure};
use crate::ledger::LedgerEntry;
use flowsmith_core::catalog::{
    Annotations, FailureMode, Flow, FlowId, FlowOptions, State, Step, StepKind, Trigger, canonical_json,
};

static TEMPLATES: LazyLock<Templates> = templates![".": "introspect.sql"];

/// Reads the live state in one round trip and one snapshot. Writes nothing.
///
/// # Errors
/// If the server rejects a query or the connection fails.
pub async fn read_snapshot(connection: &mut PgConnection, shape: LiveShape) -> Result<Live, DatabaseError> {
    let mut reader = Reader::default();
    send_each(connection, Opening::snapshot(), &query(shape), |row| reader.row(&row)).await?;
    Ok(reader.finish())
}

/// Reads the live state in one round trip within the open transaction.
///
/// # Errors
/// If the server rejects a query or the connection fails.
pub async fn read(transaction: &mut Transaction<'_>, shape: LiveShape) -> Result<Live, DatabaseError> {
    let mut reader = Reader::default();
    transaction.send_each(&query(shape), |row| reader.row(&row)).await?;
    Ok(reader.finish())
}

fn query(shape: LiveShape) -> String {
    let LiveShape { conditions, ledger, triggers } = shape;
    TEMPLATES.render("introspect.sql", context! { conditions, ledger, triggers })
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
    fn row(&mut self, row: &PgRow) -> Result<(), DatabaseError> {
        match row.try_get("part")? {
            "flow" => self.flow(row)?,
            "step" => self.step(row)?,
            "dependency" => self.dependency(row)?,
            "migration" => self.live.ledger.push(LedgerEntry::from_row(row)?),
            "trigger difference" => self.live.trigger_differences.push(TriggerDifference::from_row(row)?),
            "unscheduled trigger" => self.live.unscheduled.push((row.try_get("flow")?, row.try_get("trigger")?)),
            part => unreachable!("introspect.sql has no part {part}"),
        }
        Ok(())
    }

    fn flow(&mut self, row: &PgRow) -> Result<(), DatabaseError> {
        let database_slug: String = row.try_get("flow_slug")?;
        let flow: Option<String> = row.try_get("flow")?;
        let id = match flow {
            Some(slug) => {
                let version: i32 = row.try_get("version")?;
                FlowId {
                    slug,
                    version: u32::try_from(version).map_err(|_| unreadable("version", &version.to_string()))?,
                }
            }
            None => FlowId::new(database_slug.clone(), 1),
        };
        let state = match row.try_get::<Option<&str>, _>("state")? {
            None => State::Unmanaged,
            Some("current") => State::Current,
            Some("draining") => State::Draining,
            Some("retired") => State::Retired,
            Some(other) => return Err(unreadable("state", other)),
        };
        let recorded = recorded(row);
        if recorded.is_err() {
            self.live.unreadable.insert(database_slug.clone());
        }
        let (annotations, triggers) = recorded.unwrap_or_default();
        let options = FlowOptions {
            max_attempts: row.try_get("opt_max_attempts")?,
            base_delay: row.try_get("opt_base_delay")?,
            timeout: row.try_get("opt_timeout")?,
        };
        if !row.try_get::<bool, _>("has_queue")? {
            self.live.without_queue.insert(database_slug.clone());
        }
        self.places.insert(database_slug, self.flows.len());
        self.flows.push(Flow { id, state, options, steps: Vec::new(), annotations, triggers });
        Ok(())
    }

    fn step(&mut self, row: &PgRow) -> Result<(), DatabaseError> {
        let flow: &str = row.try_get("flow_slug")?;
        // A foreign key guarantees that the flow exists.
        let place = *self.places.get(flow).ok_or_else(|| unreadable("flow of a step", flow))?;
        let slug: String = row.try_get("step_slug")?;
        let mode = |column: &str| -> Result<FailureMode, DatabaseError> {
            match row.try_get(column)? {
                "fail" => Ok(FailureMode::Fail),
                "skip" => Ok(FailureMode::Skip),
                "skip-cascade" => Ok(FailureMode::SkipCascade),
                other => Err(unreadable("skip mode", other)),
            }
        };
        let step = Step {
            kind: match row.try_get("step_type")? {
                "single" => StepKind::Single,
                "map" => StepKind::Map,
                other => return Err(unreadable("step_type", other)),
            },
            depends_on: Vec::new(),
            max_attempts: row.try_get("opt_max_attempts")?,
            base_delay: row.try_get("opt_base_delay")?,
            timeout: row.try_get("opt_timeout")?,
            start_delay: row.try_get("opt_start_delay")?,
            required_input_pattern: json(row, "required_input_pattern")?,
            forbidden_input_pattern: json(row, "forbidden_input_pattern")?,
            when_unmet: mode("when_unmet")?,
            when_exhausted: mode("when_exhausted")?,
            slug: slug.clone(),
        };
        self.steps.insert((place, slug), self.flows[place].steps.len());
        self.flows[place].steps.push(step);
        Ok(())
    }

    fn dependency(&mut self, row: &PgRow) -> Result<(), DatabaseError> {
        let flow: &str = row.try_get("flow_slug")?;
        let step: String = row.try_get("step_slug")?;
        let place = *self.places.get(flow).ok_or_else(|| unreadable("flow of a dependency", flow))?;
        let key = (place, step);
        let step = *self.steps.get(&key).ok_or_else(|| unreadable("step of a dependency", &key.1))?;
        self.flows[place].steps[step].depends_on.push(row.try_get("dep_slug")?);
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

/// The parts of a step's definition that the engine does not have.
#[derive(Deserialize)]
struct DescribedStep {
    slug: String,
    handler: Option<Value>,
    output: Option<Value>,
}

/// The annotations and triggers of a recorded flow; empty for another one.
fn recorded(row: &PgRow) -> Result<(Annotations, Vec<Trigger>), DatabaseError> {
    if !row.try_get::<bool, _>("is_readable")? {
        return Err(unreadable("definition", "its steps or options have another form"));
    }
    let steps: Option<Vec<DescribedStep>> = json(row, "described_steps")?;
    let annotations: Option<Annotations> = json(row, "annotations")?;
    let mut annotations = annotations.unwrap_or_default();
    for step in steps.unwrap_or_default() {
        annotations.handlers.extend(step.handler.map(|handler| (step.slug.clone(), handler)));
        annotations.outputs.extend(step.output.map(|output| (step.slug, output)));
    }
    Ok((annotations, json(row, "triggers")?.unwrap_or_default()))
}

/// The JSON value of a text column; none if it is null.
fn json<T: DeserializeOwned>(row: &PgRow, column: &str) -> Result<Option<T>, DatabaseError> {
    let Some(text) = row.try_get::<Option<&str>, _>(column)? else { return Ok(None) };
    let value = serde_json::from_str(text).and_then(|value| serde_json::from_value(canonical_json(value)));
    value.map(Some).map_err(|error| unreadable(column, text).with_source(error))
}

fn unreadable(what: &str, value: &str) -> DatabaseError {
    DatabaseError::new(Failure::Sql, format!("the database has an unknown {what}: {value}"))
        .with_hint("use a flowsmith that supports this engine, or revert direct changes of its tables")
}
