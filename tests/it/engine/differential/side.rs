//! One of the two databases.

use std::fmt::Write;

use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgDatabaseError};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, Row};

use super::call::{Call, Names, WORKERS, worker_id};
use super::clock::Clock;
use super::corrections::{Once, corrected, refused};
use super::flow::Flow;
use super::state::State;

/// Which engine a database has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Engine {
    Official,
    Ours,
}

pub(super) struct Side {
    engine: Engine,
    connection: PgConnection,
    clock: Clock,
    once: Once,
}

/// What calls brought about.
pub(super) struct Turn {
    pub(super) outcome: Outcome,
    pub(super) state: State,
    /// The calls took so long that seconds cannot be distinguished.
    pub(super) blurred: bool,
}

#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// The rows that each call returned.
    Rows(Vec<Value>),
    Error {
        state: String,
        message: String,
    },
}

/// Makes the workers known, and events quick to find.
pub(super) async fn prepare(options: &PgConnectOptions) {
    let workers: Vec<_> = (0..WORKERS).map(|worker| format!("('{}', 'q', 'f')", worker_id(worker))).collect();
    let sql = format!(
        "insert into pgflow.workers (worker_id, queue_name, function_name) values {};
         create index on realtime.sent (topic text_pattern_ops)",
        workers.join(", ")
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut options.connect().await.unwrap()).await.unwrap();
}

impl Side {
    pub(super) async fn connect(engine: Engine, options: &PgConnectOptions) -> Self {
        let connection = options.connect().await.unwrap();
        Self { engine, connection, clock: Clock::default(), once: Once::default() }
    }

    /// Forgets the play before and defines a flow.
    pub(super) async fn begin(&mut self, flow: &Flow, names: Names) -> Turn {
        (self.clock, self.once) = (Clock::default(), Once::default());
        self.turn(flow.sql(&names.flow()), names).await
    }

    /// Makes calls on a state, in one transaction.
    pub(super) async fn play(&mut self, calls: &[Call], names: Names, before: &State) -> Turn {
        let mut sql = String::new();
        for call in calls {
            let call_sql = match self.engine {
                Engine::Official => corrected(call, call.sql(names, before), names),
                Engine::Ours => call.sql_of_ours(names).unwrap_or_else(|| call.sql(names, before)),
            };
            let is_null =
                call.nullable().map(|column| format!(" || jsonb_build_object('is_null', r.{column} is null)"));
            let row = format!("to_jsonb(r){}", is_null.unwrap_or_default());
            writeln!(sql, "select coalesce(jsonb_agg({row}), '[]')::text from {call_sql} r;").unwrap();
        }
        let mut turn = self.turn(sql, names).await;
        if let Outcome::Rows(results) = &mut turn.outcome {
            for (call, rows) in calls.iter().zip(results) {
                if self.engine == Engine::Official && *rows == json!([]) {
                    *rows = refused(call, &turn.state).unwrap_or(json!([]));
                }
                put_in_order(call, rows.as_array_mut().unwrap());
            }
        }
        turn
    }

    /// Runs SQL, and looks around in the same transaction.
    async fn turn(&mut self, sql: String, names: Names) -> Turn {
        let look = include_str!("state.sql").replace("{flow}", &names.flow()).replace("{runs}", &names.run_prefix());
        let (mut outcome, mut state) = match self.fetch(sql + &look).await {
            Ok(mut results) => {
                let state = results.pop().unwrap();
                (Outcome::Rows(results), state)
            }
            Err(error) => (error, self.fetch(look).await.unwrap().pop().unwrap()),
        };
        self.clock.call(&state["begin"], &state["end"]);
        if self.engine == Engine::Official
            && let Some(events) = state["events"].as_array_mut()
        {
            self.once.retain(events);
        }
        // The results first: what they say of messages may be over at the end of the transaction.
        if let Outcome::Rows(results) = &mut outcome {
            results.iter_mut().for_each(|rows| self.clock.put_in_words(rows));
        }
        let state = State::new(state, &mut self.clock);
        Turn { outcome, state, blurred: self.clock.is_blurred() }
    }

    /// The rows that are one JSON text.
    async fn fetch(&mut self, sql: String) -> Result<Vec<Value>, Outcome> {
        match sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(&mut self.connection).await {
            Ok(rows) => Ok(rows.iter().filter_map(|row| serde_json::from_str(row.try_get(0).ok()?).ok()).collect()),
            Err(error) => {
                let error = error.into_database_error().unwrap().downcast::<PgDatabaseError>();
                Err(Outcome::Error { state: error.code().to_owned(), message: error.message().to_owned() })
            }
        }
    }
}

/// Puts what comes in no order into one.
fn put_in_order(call: &Call, rows: &mut [Value]) {
    match call {
        Call::StartTasks { .. } | Call::Poll { .. } | Call::Read { .. } | Call::SetVisibility { .. } => {
            rows.sort_by_key(|row| row["msg_id"].as_i64());
        }
        Call::Show { .. } | Call::StartFlow { .. } => {
            for steps in rows.iter_mut().filter_map(|row| row.get_mut("steps")?.as_array_mut()) {
                steps.sort_by_key(|step| step["step_slug"].to_string());
            }
        }
        _ => (),
    }
}
