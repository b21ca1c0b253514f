//! SQL with named parameters, `:name`, that are written into it as literals.
//!
//! For queries that must work in one round trip behind a transaction pooler: a prepared statement needs two, and the second
//! may meet another server. Literals are read the same whatever the session's settings are.

use std::fmt;

use crate::migration::quote;

/// One SQL statement, or a script of several, with named parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pieces: Vec<Piece>,
    statements: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Parameter(String),
}

/// Why a text is no SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unclosed {
    /// A text in single quotes has no end.
    Text,
    /// A name in double quotes has no end.
    Name,
    /// A text in dollar quotes has no end.
    Dollar,
    /// A comment has no end.
    Comment,
}

impl fmt::Display for Unclosed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "a text in single quotes has no end",
            Self::Name => "a name in double quotes has no end",
            Self::Dollar => "a text in dollar quotes has no end",
            Self::Comment => "a comment has no end",
        })
    }
}

impl Statement {
    /// Finds the parameters. What is in quotes is left as it is; comments are left out, so that text can be added behind.
    ///
    /// # Errors
    /// Where quotes or a comment have no end.
    pub fn parse(sql: &str) -> Result<Self, Unclosed> {
        let mut reader = Reader { rest: sql, text: String::new(), pieces: Vec::new(), statements: 0, begun: false };
        reader.read()?;
        if !reader.text.trim_end().is_empty() {
            reader.pieces.push(Piece::Text(reader.text.trim_end().to_owned()));
        }
        Ok(Self { pieces: reader.pieces, statements: reader.statements })
    }

    /// How many statements there are.
    pub fn statements(&self) -> usize {
        self.statements
    }

    /// The names of the parameters, in the order in which they are written.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Parameter(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The first word, in lower case.
    pub fn verb(&self) -> String {
        let Some(Piece::Text(text)) = self.pieces.first() else { return String::new() };
        let word = text.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
        word.chars().take_while(|c| c.is_ascii_alphabetic()).collect::<String>().to_lowercase()
    }

    /// The SQL with its parameters written in; those without a value stay as they are.
    pub fn fill(&self, values: &[(&str, &str)]) -> String {
        let value = |name: &str| values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let mut sql = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => sql.push_str(text),
                Piece::Parameter(name) => match value(name) {
                    Some(value) => sql.push_str(value),
                    None => sql.extend([":", name]),
                },
            }
        }
        sql
    }
}

/// Texts as an SQL array of a type.
pub(crate) fn array<T: AsRef<str>>(items: impl IntoIterator<Item = T>, of: &str) -> String {
    let items: Vec<String> = items.into_iter().map(|item| quote::literal(item.as_ref())).collect();
    format!("array[{}]::{of}[]", items.join(", "))
}

struct Reader<'s> {
    rest: &'s str,
    text: String,
    pieces: Vec<Piece>,
    statements: usize,
    /// Whether the present statement has anything in it.
    begun: bool,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), Unclosed> {
        while let Some(next) = self.rest.chars().next() {
            if next == '-' && self.rest.starts_with("--") {
                self.rest = self.rest.split_once('\n').map_or("", |(_, rest)| rest);
                self.text.push(' ');
            } else if next == '/' && self.rest.starts_with("/*") {
                self.comment()?;
            } else if next == ':' {
                self.colon();
            } else if next == ';' {
                self.begun = false;
                self.take(1);
            } else {
                if !self.begun && !next.is_whitespace() {
                    (self.begun, self.statements) = (true, self.statements + 1);
                }
                match next {
                    '\'' => self.quoted('\'', self.is_escaped(), Unclosed::Text)?,
                    '"' => self.quoted('"', false, Unclosed::Name)?,
                    '$' => self.dollar()?,
                    _ => self.word(),
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, length: usize) {
        let (taken, rest) = self.rest.split_at(length);
        self.text.push_str(taken);
        self.rest = rest;
    }

    /// A name, number or keyword as a whole, so that a `$` within is none of a quote; else one character.
    fn word(&mut self) {
        let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let length: usize = self.rest.chars().take_while(|c| is_part(*c)).map(char::len_utf8).sum();
        let one = self.rest.chars().next().map_or(0, char::len_utf8);
        self.take(length.max(one));
    }

    /// Whether a quote here begins a text with backslashes.
    fn is_escaped(&self) -> bool {
        let mut before = self.text.chars().rev();
        matches!(before.next(), Some('e' | 'E')) && !before.next().is_some_and(|c| c.is_alphanumeric() || c == '_')
    }

    fn quoted(&mut self, quote: char, escapes: bool, unclosed: Unclosed) -> Result<(), Unclosed> {
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            if escapes && c == '\\' {
                chars.next();
            } else if c == quote {
                // A doubled quote is one quote within: it is read as the end and a new beginning.
                self.take(at + 1);
                return Ok(());
            }
        }
        Err(unclosed)
    }

    fn dollar(&mut self) -> Result<(), Unclosed> {
        let tag = self.rest[1..].split('$').next().unwrap_or_default();
        let is_tag = tag.chars().all(|c| c.is_alphanumeric() || c == '_') && !tag.starts_with(|c: char| c.is_numeric());
        if !is_tag || !self.rest[1 + tag.len()..].starts_with('$') {
            self.take(1);
            return Ok(());
        }
        let fence = &self.rest[..tag.len() + 2];
        let end = self.rest[fence.len()..].find(fence).ok_or(Unclosed::Dollar)?;
        self.take(end + 2 * (tag.len() + 2));
        Ok(())
    }

    /// Comments nest.
    fn comment(&mut self) -> Result<(), Unclosed> {
        let mut depth = 0;
        let mut at = 0;
        while let Some(rest) = self.rest.get(at..).filter(|rest| !rest.is_empty()) {
            if rest.starts_with("/*") {
                (depth, at) = (depth + 1, at + 2);
            } else if rest.starts_with("*/") {
                (depth, at) = (depth - 1, at + 2);
                if depth == 0 {
                    self.rest = &self.rest[at..];
                    self.text.push(' ');
                    return Ok(());
                }
            } else {
                at += rest.chars().next().map_or(1, char::len_utf8);
            }
        }
        Err(Unclosed::Comment)
    }

    /// A parameter, a cast (`::`), or a colon.
    fn colon(&mut self) {
        if self.rest.starts_with("::") {
            return self.take(2);
        }
        let name: String = self.rest[1..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return self.take(1);
        }
        self.rest = &self.rest[1 + name.len()..];
        self.pieces.push(Piece::Text(std::mem::take(&mut self.text)));
        self.pieces.push(Piece::Parameter(name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(sql: &str) -> String {
        Statement::parse(sql).expect("SQL").fill(&[("input", "X")])
    }

    #[test]
    fn parameters_are_filled_and_nothing_else_is() {
        for (sql, expected) in [
            ("select f(:input)", "select f(X)"),
            ("select :input::jsonb, a::input", "select X::jsonb, a::input"),
            (
                "select ':input', \":input\", $$:input$$, $a$:input $$$a$",
                "select ':input', \":input\", $$:input$$, $a$:input $$$a$",
            ),
            ("select 'it''s :input' || :input", "select 'it''s :input' || X"),
            (r"select E'\':input', :input", r"select E'\':input', X"),
            (r"select '\', :input", r"select '\', X"),
            ("select 1 -- :input\n, :input", "select 1  , X"),
            ("select 1 /* :input /* :input */ */ + :input", "select 1   + X"),
            ("select a[1:2], b := 1, :other", "select a[1:2], b := 1, :other"),
            ("select a$b$c, :input", "select a$b$c, X"),
        ] {
            assert_eq!(filled(sql), expected, "{sql}");
        }
    }

    #[test]
    fn statements_are_counted() {
        for (sql, count, verb) in [
            ("", 0, ""),
            ("select 1", 1, "select"),
            ("-- why\n (Select ';');  -- end", 1, "select"),
            ("insert into t values (1); commit", 2, "insert"),
        ] {
            let statement = Statement::parse(sql).expect("SQL");
            assert_eq!((statement.statements(), statement.verb().as_str()), (count, verb), "{sql}");
        }
    }

    #[test]
    fn what_has_no_end_is_named() {
        for (sql, why) in [
            ("select 'a", Unclosed::Text),
            ("select E'a\\'", Unclosed::Text),
            ("select \"a", Unclosed::Name),
            ("select $a$ b $$", Unclosed::Dollar),
            ("select /* a", Unclosed::Comment),
        ] {
            assert_eq!(Statement::parse(sql), Err(why), "{sql}");
        }
    }

    #[test]
    fn arrays_hold_literals() {
        assert_eq!(array(["a", "b'"], "text"), "array['a', 'b''']::text[]");
    }
}
