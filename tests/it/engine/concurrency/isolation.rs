//! Executes a script with statements of several sessions in the order of its lines, and checks which of them wait for a
//! lock.
//!
//! ```text
//! cancel: begin
//! cancel: select status from pgflow.cancel_run(R1)
//! worker waits: select status from pgflow.complete_task(R1, 'a', 0, '1')
//! cancel: commit
//! worker continues => completed
//! ```
//!
//! | Line | Expected behaviour |
//! |---|---|
//! | `s: sql`, `s: sql => rows` | The statement finishes without waiting for another session. |
//! | `s waits: sql` | The statement waits for a lock that another session holds. |
//! | `s tries: sql` | The statement finishes or waits. |
//! | `s continues`, `s continues => rows` | The session no longer waits, and its statement finishes. |
//!
//! A name is a session, which stays open until the script ends. `R1` to `R9` are run ids, and `W` is a worker id. An error
//! fails the script unless the line expects it: `=> 40001 …`. `=> nothing` expects no rows. At the end, no session may wait
//! and no rule of the engine may be violated.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::{assert_no_violations, connect, query};
use crate::fixture::Database;

const TIMEOUT: Duration = Duration::from_secs(20);

/// The connection of a session, and the result of its statement.
type Finished = (PgConnection, Result<String, String>);

enum Session {
    Free(PgConnection),
    Waiting(JoinHandle<Finished>),
}

/// Executes a script; see above.
pub(super) async fn play(database: &Database, script: &str) {
    let mut player = Player { database, observer: connect(database.options()).await, sessions: HashMap::new() };
    for line in script.lines().map(str::trim).filter(|line| !line.is_empty()) {
        player.line(line).await;
    }
    for (name, session) in player.sessions {
        assert!(matches!(session, Session::Free(_)), "{name} still waits at the end");
    }
    assert_no_violations(&mut player.observer).await;
}

/// Replaces the names of runs and of the worker by SQL literals.
pub(super) fn expand(sql: &str) -> String {
    let mut sql = sql.replace("W)", "'00000000-0000-0000-0000-0000000000aa')");
    for run in 1..=9 {
        sql = sql.replace(&format!("R{run}"), &format!("'00000000-0000-0000-0000-00000000000{run}'"));
    }
    sql
}

struct Player<'d> {
    database: &'d Database,
    observer: PgConnection,
    sessions: HashMap<String, Session>,
}

impl Player<'_> {
    async fn line(&mut self, line: &str) {
        let (action, expected) = match line.split_once(" => ") {
            Some((action, expected)) => (action, Some(expected)),
            None => (line, None),
        };
        let result = if let Some(name) = action.strip_suffix(" continues") {
            Some(self.finish(name).await)
        } else {
            let (session, sql) = action.split_once(": ").unwrap_or_else(|| panic!("no session in: {line}"));
            match session.split_once(' ') {
                None => {
                    self.start(session, sql).await;
                    Some(self.finish(session).await)
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
                Some(_) => panic!("unknown action: {line}"),
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
            Some(Session::Waiting(_)) => panic!("{name} still waits and cannot execute: {sql}"),
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
        let finished = timeout(TIMEOUT, statement).await;
        let (connection, result) = finished.unwrap_or_else(|_| panic!("{name} waits forever")).unwrap();
        self.sessions.insert(name.to_owned(), Session::Free(connection));
        result
    }

    /// Waits until a session waits for a lock or has finished, and returns whether it waits.
    async fn waits(&mut self, name: &str) -> bool {
        let deadline = Instant::now() + TIMEOUT;
        let sql = format!(
            "select from pg_stat_activity where datname = current_database() and application_name = '{name}'
               and wait_event_type = 'Lock' and pg_blocking_pids(pid) <> '{{}}'"
        );
        loop {
            let Some(Session::Waiting(statement)) = self.sessions.get(name) else {
                panic!("{name} executes no statement")
            };
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
