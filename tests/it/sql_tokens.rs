//! Where tokens of SQL begin and end, held against a server: texts of pieces that could break out of a quotation.
//!
//! PL/pgSQL cuts a function's body into tokens with the server's own lexer, and where `check_function_bodies` is off does
//! not ask whether they make sense. So a block with any text in parentheses runs to its end exactly if the text stays in
//! them.

use std::sync::atomic::{AtomicU32, Ordering};

use flowsmith::check::expression::{self, ExpressionError};
use flowsmith::database::Statement;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::engine_definitions::{execute, text};
use crate::support::Database;

/// What the lexer alone finds wrong, in tokens that it has cut as any other.
const COMPLAINTS: [&str; 3] = ["trailing junk after", "zero-length delimited identifier", "invalid Unicode escape"];

const QUOTES: &[&str] = &[
    "'",
    "'",
    "'",
    "''",
    "\\'",
    "\\",
    "E'",
    "e'",
    "U&'",
    "u&",
    "B'",
    "x'",
    "N'",
    "\"",
    "\"\"",
    "U&\"",
    "'\n'",
    "'\r'",
    "'--\n'",
    "'\n--'\n'",
    "$$",
    "$",
    "$a$",
    "$a$",
    "$é$",
    "$é$",
    "$1",
    "--",
    "/*",
    "*/",
    "/",
    "*",
    "-",
    "+",
    "&",
    "1",
    "1e5",
    "1E",
    ".",
    "a",
    "e",
    "é",
    "\u{a0}",
    " ",
    "\n",
    "\n",
    "\r",
    "\t",
    "\x0c",
    ",",
    "=",
];
const BRACKETS: &[&str] =
    &["(", ")", "[", "]", ";", ":", "::", "then", "); drop table victim; --", "'); drop table victim; --"];

/// Texts of a few pieces, of which `{}` is numbered.
fn texts(pieces: Vec<&'static str>) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(pieces), 1..12).prop_map(|pieces| {
        let next = AtomicU32::new(10);
        let numbered = |piece: &str| piece.replace("{}", &next.fetch_add(1, Ordering::Relaxed).to_string());
        pieces.into_iter().map(numbered).collect()
    })
}

/// What the server says of a block with the text in parentheses: nothing where the text stays in them. There is no quote
/// behind the text that could close one of its own.
async fn objection(c: &mut PgConnection, text: &str) -> Option<String> {
    let body = format!("begin if false then if (\n{text}\n) then null; end if; end if; raise division_by_zero; end");
    let block = format!("do E'{}'", body.replace('\\', "\\\\").replace('\'', "''"));
    let error = sqlx::raw_sql(AssertSqlSafe(block)).execute(c).await.unwrap_err();
    let error = error.into_database_error().unwrap();
    let is_end = error.code().as_deref() == Some("22012");
    let complaint = COMPLAINTS.iter().any(|complaint| error.message().starts_with(complaint));
    (!is_end && !complaint).then(|| error.message().to_owned())
}

async fn lexer() -> (Database, PgConnection) {
    let database = Database::create().await;
    let mut c = database.connect().await;
    execute(&mut c, "create table victim as select 1 as alive; set check_function_bodies = off").await;
    (database, c)
}

#[tokio::test]
async fn what_is_taken_for_an_expression_stays_in_its_parentheses() {
    let (_database, mut c) = lexer().await;
    let mut runner = TestRunner::deterministic();
    let all = texts([QUOTES, BRACKETS].concat());
    let (mut accepted, mut unclosed) = (0, 0);
    for _ in 0..6000 {
        let sql = all.new_tree(&mut runner).unwrap().current();
        match expression::check(&sql) {
            Ok(()) | Err(ExpressionError::Empty) => {
                accepted += 1;
                assert_eq!(objection(&mut c, &sql).await, None, "{sql:?}");
                // Nearly always an error of syntax, or of division: of interest is what it did.
                let _ = sqlx::raw_sql(AssertSqlSafe(format!("select 1 where (\n{sql}\n)"))).execute(&mut c).await;
            }
            Err(ExpressionError::Unclosed(_)) => {
                unclosed += 1;
                assert_ne!(objection(&mut c, &sql).await, None, "{sql:?}");
            }
            Err(_) => {}
        }
    }
    assert!(accepted > 1000 && unclosed > 1000, "{accepted} accepted, {unclosed} without an end");
    assert_eq!(text(&mut c, "(select alive from victim)").await.unwrap(), "1");
}

#[tokio::test]
async fn parameters_are_those_outside_of_quotations_and_comments() {
    let (_database, mut c) = lexer().await;
    let mut runner = TestRunner::deterministic();
    let all = texts([QUOTES, &[":p{}"; 12]].concat());
    let (mut outside, mut inside) = (0, 0);
    for _ in 0..3000 {
        let sql = all.new_tree(&mut runner).unwrap().current();
        let Ok(statement) = Statement::parse(&sql) else { continue };
        assert_eq!(objection(&mut c, &statement.fill(&[])).await, None, "{sql:?}");
        let found: Vec<&str> = statement.parameters().collect();
        for name in &found {
            outside += 1;
            let filled = statement.fill(&[(name, ")")]);
            assert_ne!(objection(&mut c, &filled).await, None, "{sql:?}, {name}");
        }
        let written = sql.match_indices(":p").map(|(at, _)| &sql[at..at + 4]);
        for name in written.filter(|name| !found.iter().any(|found| found.starts_with(&name[1..]))) {
            inside += 1;
            let other = Statement::parse(&sql.replace(name, ")")).unwrap();
            assert_eq!(objection(&mut c, &other.fill(&[])).await, None, "{sql:?}, {name}");
        }
    }
    assert!(outside > 1000 && inside > 1000, "{outside} outside, {inside} inside");
}

#[tokio::test]
async fn queries_of_handlers_mean_what_postgresql_takes_them_for() {
    let (_database, mut c) = lexer().await;
    for (query, value) in [
        ("select E'it''s \\''", "it's '"),
        ("select E'it''s \\' :input \\''", "it's ' :input '"),
        ("select E'a' -- b\n'\\':input' -- c", "a':input"),
        ("select $€$ ' :input $€$ || :input::text", " ' :input in\\put"),
        ("select (array[1, 2, 3])[1:2]::text || :input", "{1,2}in\\put"),
        ("select:input", "in\\put"),
        ("select 1 --\r+ :run_id", "3"),
    ] {
        let filled = Statement::parse(query).unwrap().fill(&[("input", "E'in\\\\put'"), ("run_id", "2")]);
        assert_eq!(text(&mut c, &format!("({filled})")).await.unwrap(), value, "{query}");
    }
}
