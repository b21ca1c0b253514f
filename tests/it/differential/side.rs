//! One of the two databases.

use serde_json::Value;
use sqlx::postgres::{PgConnectOptions, PgDatabaseError};
use sqlx::{AssertSqlSafe, ConnectOptions, PgConnection, Row};

use super::call::{Call, Names, WORKERS, worker_id};
use super::corrections::{Once, afterwards, refused};
use super::flow::Flow;
use super::state::{Clock, State};

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

/// What a call brought about.
pub(super) struct Turn {
    pub(super) outcome: Outcome,
    pub(super) state: State,
    /// The call took so long that seconds cannot be told apart.
    pub(super) blurred: bool,
}

#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    Rows(Value),
    Error { state: String, message: String },
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
        let define = flow.sql(&names.flow()) + "select jsonb_build_object('now', now(), 'rows', null)::text;";
        self.turn(define, names).await
    }

    /// Makes a call on a state, in a transaction of its own.
    pub(super) async fn play(&mut self, call: &Call, names: Names, before: &State) -> Turn {
        let mut sql = format!(
            "select jsonb_build_object('now', now(), 'rows', (select jsonb_agg(to_jsonb(r)) from {} r))::text;",
            call.sql(names, before)
        );
        if self.engine == Engine::Official {
            sql += &afterwards(call, names, before, &self.clock);
        }
        let mut turn = self.turn(sql, names).await;
        if self.engine == Engine::Official && turn.outcome == Outcome::Rows(Value::Null) {
            turn.outcome = Outcome::Rows(refused(call, &turn.state).unwrap_or_default());
        }
        if let Outcome::Rows(Value::Array(rows)) = &mut turn.outcome {
            put_in_order(call, rows);
        }
        turn
    }

    /// Runs SQL whose last row is `{"now", "rows"}`, and looks around in the same transaction.
    async fn turn(&mut self, sql: String, names: Names) -> Turn {
        let look = include_str!("state.sql").replace("{flow}", &names.flow()).replace("{runs}", &names.run_prefix());
        let (error, mut found) = match self.fetch(sql + &look).await {
            Ok(found) => (None, found),
            Err(error) => {
                let look = "select jsonb_build_object('now', now())::text;".to_owned() + &look;
                (Some(error), self.fetch(look).await.unwrap())
            }
        };
        let mut state = found.pop().unwrap();
        let mut call = found.pop().unwrap();
        self.clock.call(&call["now"], &state["clock"]);
        if self.engine == Engine::Official
            && let Some(events) = state["events"].as_array_mut()
        {
            self.once.retain(events);
        }
        let state = State::new(state, &mut self.clock);
        let outcome = error.unwrap_or_else(|| {
            let mut rows = call["rows"].take();
            self.clock.put_in_words(&mut rows);
            Outcome::Rows(rows)
        });
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
        Call::StartTasks { .. } | Call::Read { .. } | Call::SetVisibility { .. } => {
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
