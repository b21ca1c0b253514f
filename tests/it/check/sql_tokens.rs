//! Token boundaries of SQL, compared with a server, on random texts that could break out of a quotation.
//!
//! PL/pgSQL uses the server's lexer to split the body of a function into tokens, and with `check_function_bodies` off it does
//! not parse them. Therefore a block with a text in parentheses is executed to its end if and only if the text does not leave
//! them.

use flowsmith_core::check::expression::{self, ExpressionError};
use flowsmith_core::sql::Statement;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::engine::definitions::{execute, text};
use crate::fixture::Database;

/// Errors of the lexer that do not change the token boundaries.
const COMPLAINTS: [&str; 3] = ["trailing junk after", "zero-length delimited identifier", "invalid Unicode escape"];

/// Pieces of SQL. White space is one of them.
const QUOTES: &str = r"' ' ' '' \' \ E' e' U&' u& B' x' N' '{n}' '{r}' '--{n}' '{n}--'{n}' {dq} {dq}{dq} U&{dq}
    $$ $ $a$ $a$ $é$ $é$ $1 -- /* */ / * - + & , = 1 1e5 1E . a e é {nbsp} {s} {n} {n} {r} {t} {f}";
const BRACKETS: &str = "( ) [ ] ; : :: then );{s}drop{s}table{s}victim;{s}-- ');{s}drop{s}table{s}victim;{s}--";
const PARAMETERS: &str = ":p{} :p{} :p{} :p{} :p{} :p{} :p{} :p{} :p{} :p{} :p{} :p{}";

/// Texts of a few pieces. Each `{}` becomes a number.
fn texts(pieces: &[&'static str]) -> impl Strategy<Value = String> {
    let pieces: Vec<&str> = pieces.iter().flat_map(|pieces| pieces.split_ascii_whitespace()).collect();
    prop::collection::vec(prop::sample::select(pieces), 1..12).prop_map(|pieces| {
        let mut text = String::new();
        for (number, piece) in pieces.into_iter().enumerate() {
            text.push_str(&piece.replace("{}", &(number + 10).to_string()));
        }
        let named =
            [("dq", "\""), ("nbsp", "\u{a0}"), ("s", " "), ("n", "\n"), ("r", "\r"), ("t", "\t"), ("f", "\x0c")];
        named.iter().fold(text, |text, (name, sql)| text.replace(&format!("{{{name}}}"), sql))
    })
}

/// How a server reads a text in parentheses.
#[derive(Debug, PartialEq)]
enum Seen {
    Within,
    Outside,
    /// The text contains a token that does not exist, so the rest was not read.
    Nothing,
}

/// Executes a block with the text in parentheses. No quote follows the text, because it could close one of the text.
async fn seen(c: &mut PgConnection, text: &str) -> Seen {
    let body = format!("begin if false then if (\n{text}\n) then null; end if; end if; raise division_by_zero; end");
    let block = format!("do E'{}'", body.replace('\\', "\\\\").replace('\'', "''"));
    let error = sqlx::raw_sql(AssertSqlSafe(block)).execute(c).await.unwrap_err();
    let error = error.into_database_error().unwrap();
    if error.code().as_deref() == Some("22012") {
        Seen::Within
    } else if COMPLAINTS.iter().any(|complaint| error.message().starts_with(complaint)) {
        Seen::Nothing
    } else {
        Seen::Outside
    }
}

async fn lexer() -> (Database, PgConnection) {
    let database = Database::create().await;
    let mut c = database.connect().await;
    execute(&mut c, "create table victim as select 1 as alive; set check_function_bodies = off").await;
    (database, c)
}

#[tokio::test]
async fn accepted_expressions_do_not_leave_their_parentheses() {
    let (_database, mut c) = lexer().await;
    let mut runner = TestRunner::deterministic();
    let all = texts(&[QUOTES, BRACKETS]);
    let (mut accepted, mut unclosed) = (0, 0);
    for _ in 0..6000 {
        let sql = all.new_tree(&mut runner).unwrap().current();
        match expression::check(&sql) {
            Ok(()) | Err(ExpressionError::Empty) => {
                let seen = seen(&mut c, &sql).await;
                assert_ne!(seen, Seen::Outside, "{sql:?}");
                accepted += usize::from(seen == Seen::Within);
                // Nearly always a syntax error or a division by zero; only the effects matter.
                let _ = sqlx::raw_sql(AssertSqlSafe(format!("select 1 where (\n{sql}\n)"))).execute(&mut c).await;
            }
            Err(ExpressionError::Unterminated(_)) => {
                unclosed += 1;
                assert_ne!(seen(&mut c, &sql).await, Seen::Within, "{sql:?}");
            }
            Err(_) => {}
        }
    }
    assert!(accepted > 400 && unclosed > 1000, "{accepted} within, {unclosed} without an end");
    assert_eq!(text(&mut c, "(select alive from victim)").await.unwrap(), "1");
}

#[tokio::test]
async fn parameters_in_quotations_and_comments_are_ignored() {
    let (_database, mut c) = lexer().await;
    let mut runner = TestRunner::deterministic();
    let all = texts(&[QUOTES, PARAMETERS]);
    let (mut outside, mut inside) = (0, 0);
    for _ in 0..8000 {
        let sql = all.new_tree(&mut runner).unwrap().current();
        let Ok(statement) = Statement::parse(&sql) else { continue };
        assert_ne!(seen(&mut c, &statement.fill(&[])).await, Seen::Outside, "{sql:?}");
        let found: Vec<&str> = statement.parameters().collect();
        for name in &found {
            outside += 1;
            let filled = statement.fill(&[(name, ")")]);
            assert_ne!(seen(&mut c, &filled).await, Seen::Within, "{sql:?}, {name}");
        }
        let written = sql.match_indices(":p").map(|(at, _)| &sql[at..at + 4]);
        for name in written.filter(|name| !found.iter().any(|found| found.starts_with(&name[1..]))) {
            inside += 1;
            let other = Statement::parse(&sql.replace(name, ")")).unwrap();
            assert_ne!(seen(&mut c, &other.fill(&[])).await, Seen::Outside, "{sql:?}, {name}");
        }
    }
    assert!(outside > 1000 && inside > 400, "{outside} outside, {inside} inside");
}

#[tokio::test]
async fn handler_queries_are_classified_as_postgresql_does() {
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
