//! Plays a script of several sessions' statements in the order of its lines, and sees which of them wait for a lock.
//!
//! ```text
//! cancel: begin
//! cancel: select status from pgflow.cancel_run(R1)
//! worker waits: select status from pgflow.complete_task(R1, 'a', 0, '1')
//! cancel: commit
//! worker goes on => completed
//! ```
//!
//! | line | what must come to pass |
//! |---|---|
//! | `s: sql`, `s: sql => rows` | finishes without waiting for any other session |
//! | `s waits: sql` | waits for a lock that another session holds |
//! | `s tries: sql` | either |
//! | `s goes on`, `s goes on => rows` | what the session waits for has come, and it finishes |
//!
//! A name is a session that lasts as long as the script. `R1` to `R9` are run ids, `W` is a worker's. An error fails the
//! script, unless the line expects it: `=> 40001 …`; no rows are `=> nothing`. At the end, nobody waits and every rule of the engine holds.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{assert_sound, connect, query};
use crate::fixture::Database;

const PATIENCE: Duration = Duration::from_secs(20);

/// What a session has come to: itself again, and what its statement gave.
type Finished = (PgConnection, Result<String, String>);

enum Session {
    Free(PgConnection),
    Waiting(JoinHandle<Finished>),
}

/// Plays a script; see above.
pub(super) async fn play(database: &Database, script: &str) {
    let mut stage = Stage { database, observer: connect(database.options()).await, sessions: HashMap::new() };
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        stage.line(line).await;
    }
    for (name, session) in stage.sessions {
        assert!(matches!(session, Session::Free(_)), "{name} still waits at the end");
    }
    assert_sound(&mut stage.observer).await;
}

/// A run's or the worker's name in a script, as SQL.
pub(super) fn expand(sql: &str) -> String {
    let mut sql = sql.replace("W)", "'00000000-0000-0000-0000-0000000000aa')");
    for run in 1..=9 {
        sql = sql.replace(&format!("R{run}"), &format!("'00000000-0000-0000-0000-00000000000{run}'"));
    }
    sql
}

struct Stage<'d> {
    database: &'d Database,
    observer: PgConnection,
    sessions: HashMap<String, Session>,
}

impl Stage<'_> {
    async fn line(&mut self, line: &str) {
        let (what, expected) = match line.split_once(" => ") {
            Some((what, expected)) => (what, Some(expected)),
            None => (line, None),
        };
        let result = if let Some(name) = what.strip_suffix(" goes on") {
            Some(self.finish(name).await)
        } else {
            let (who, sql) = what.split_once(": ").unwrap_or_else(|| panic!("no session in: {line}"));
            match who.split_once(' ') {
                None => {
                    self.start(who, sql).await;
                    Some(self.finish(who).await)
                }
                Some((name, "waits")) => {
                    self.start(name, sql).await;
                    assert!(self.waits(name).await, "does not wait: {line}");
                    None
                }
                Some((name, "tries")) => {
                    self.start(name, sql).await;
                    self.waits(name).await;
                    None
                }
                Some(_) => panic!("what is this: {line}"),
            }
        };
        match (result, expected) {
            (Some(Err(error)), None) => panic!("{line}\n{error}"),
            (Some(Ok(found) | Err(found)), Some(expected)) => {
                let expected = if expected == "nothing" { String::new() } else { expand(expected).replace('\'', "") };
                assert_eq!(found.replace('\n', " "), expected, "{line}");
            }
            (_, _) => {}
        }
    }

    async fn start(&mut self, name: &str, sql: &str) {
        let mut connection = match self.sessions.remove(name) {
            Some(Session::Free(connection)) => connection,
            Some(Session::Waiting(_)) => panic!("{name} still waits when it is to do: {sql}"),
            None => {
                let options = self.database.options().application_name(name);
                connect(options).await
            }
        };
        let sql = expand(sql);
        let statement = tokio::spawn(async move {
            let result = query(&mut connection, &sql).await;
            (connection, result)
        });
        self.sessions.insert(name.to_owned(), Session::Waiting(statement));
    }

    async fn finish(&mut self, name: &str) -> Result<String, String> {
        let Some(Session::Waiting(statement)) = self.sessions.remove(name) else { panic!("{name} does not wait") };
        let finished = timeout(PATIENCE, statement).await;
        let (connection, result) = finished.unwrap_or_else(|_| panic!("{name} waits for ever")).unwrap();
        self.sessions.insert(name.to_owned(), Session::Free(connection));
        result
    }

    /// Whether a session waits for another one; false once it has finished.
    async fn waits(&mut self, name: &str) -> bool {
        let deadline = Instant::now() + PATIENCE;
        let sql = format!(
            "select from pg_stat_activity where datname = current_database() and application_name = '{name}'
               and wait_event_type = 'Lock' and pg_blocking_pids(pid) <> '{{}}'"
        );
        loop {
            let Some(Session::Waiting(statement)) = self.sessions.get(name) else { panic!("{name} does nothing") };
            if statement.is_finished() {
                return false;
            }
            if sqlx::raw_sql(sqlx::AssertSqlSafe(sql.as_str()))
                .fetch_optional(&mut self.observer)
                .await
                .unwrap()
                .is_some()
            {
                return true;
            }
            assert!(Instant::now() < deadline, "{name} neither waits nor finishes");
            sleep(Duration::from_millis(1)).await;
        }
    }
}
