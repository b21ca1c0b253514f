//! SQL with named parameters, `:name`, that are substituted as literals.
//!
//! This serves queries that must take one round trip behind a transaction pooler: a prepared statement takes two, and the
//! second may reach another server connection. The server reads the literals the same under any session settings.

use super::Unterminated;
use super::token::{Kind, Token, is_part_of_word, is_space, tokens};
use crate::sql::quote;

/// One SQL statement, or a script of several, with named parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    pieces: Vec<Piece>,
    statements: usize,
    verb: String,
    numbered: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Parameter(String),
}

impl Statement {
    /// Finds the parameters. Quoted text is left unchanged. Comments are removed, so that text can be appended.
    ///
    /// # Errors
    /// If a quote or a comment is unterminated.
    pub fn parse(sql: &str) -> Result<Self, Unterminated> {
        let mut reader = Reader::default();
        let mut tokens = tokens(sql).peekable();
        while let Some(token) = tokens.next() {
            let token = token?;
            let is_word = |next: &Result<Token<'_>, _>| next.is_ok_and(|next| next.kind == Kind::Word);
            let name = if reader.may_begin_parameter(token) { tokens.next_if(is_word) } else { None };
            match name {
                Some(name) => reader.parameter(name?.text),
                None => reader.token(token),
            }
        }
        Ok(reader.statement())
    }

    /// The number of statements.
    pub fn statements(&self) -> usize {
        self.statements
    }

    /// The names of the parameters in the order of the text.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Parameter(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// Positional parameters such as `$1` in the order of the text. They belong to prepared statements and cannot be filled here.
    pub fn numbered_parameters(&self) -> impl Iterator<Item = &str> {
        self.numbered.iter().map(String::as_str)
    }

    /// The first keyword in lower case; empty if the text begins with another token.
    pub fn verb(&self) -> &str {
        &self.verb
    }

    /// The SQL with these values; parameters without a value are left unchanged.
    pub fn fill(&self, values: &[(&str, &str)]) -> String {
        let value = |name: &str| values.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let mut sql = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => sql.push_str(text),
                Piece::Parameter(name) => match value(name) {
                    Some(value) => {
                        // `select:input` is two tokens; without a space, the value could join the first one.
                        if sql.ends_with(|c| is_part_of_word(c) || matches!(c, '\'' | '"' | '&')) {
                            sql.push(' ');
                        }
                        sql.push_str(value);
                    }
                    None => sql.extend([":", name]),
                },
            }
        }
        sql
    }
}

/// An SQL array of this element type.
pub fn array<T: AsRef<str>>(items: impl IntoIterator<Item = T>, of: &str) -> String {
    let items: Vec<String> = items.into_iter().map(|item| quote::literal(item.as_ref())).collect();
    format!("array[{}]::{of}[]", items.join(", "))
}

#[derive(Default)]
struct Reader<'s> {
    text: String,
    pieces: Vec<Piece>,
    statements: usize,
    verb: Option<String>,
    numbered: Vec<String>,
    /// Whether the current statement has a token.
    begun: bool,
    /// The open parentheses and brackets.
    open: Vec<&'s str>,
    last: Option<Token<'s>>,
    /// Whether the last token besides blanks and comments is a string, which a following string could continue.
    behind_text: bool,
}

impl<'s> Reader<'s> {
    /// A colon begins a parameter, except in an array slice: `a[1:n]`, `a[low:high]`. Inside brackets, a colon directly after an
    /// operand is one of a slice.
    fn may_begin_parameter(&self, token: Token<'_>) -> bool {
        let is_operand = |last: Token<'_>| match last.kind {
            Kind::Symbol => matches!(last.text, ")" | "]"),
            Kind::Space | Kind::Comment => false,
            Kind::Text | Kind::QuotedName | Kind::Word | Kind::Number | Kind::Parameter => true,
        };
        let is_slice = self.open.last() == Some(&"[") && self.last.is_some_and(is_operand);
        token.kind == Kind::Symbol && token.text == ":" && !is_slice
    }

    fn token(&mut self, token: Token<'s>) {
        self.last = Some(token);
        match (token.kind, token.text) {
            (Kind::Space, _) => self.text.push_str(token.text),
            // A blank between two strings could join them.
            (Kind::Comment, _) => self.text.push_str(if self.behind_text { "/**/" } else { " " }),
            (Kind::Symbol, ";") => {
                (self.begun, self.behind_text) = (false, false);
                self.text.push(';');
            }
            _ => {
                self.begin();
                self.behind_text = token.kind == Kind::Text;
                if token.kind == Kind::Parameter {
                    self.numbered.push(token.text.to_owned());
                }
                match (token.kind, token.text) {
                    (Kind::Symbol, "(" | "[") => self.open.push(token.text),
                    (Kind::Symbol, ")" | "]") => _ = self.open.pop(),
                    _ => {}
                }
                if self.verb.is_none() && token.text != "(" {
                    let word = Some(token).filter(|token| token.kind == Kind::Word);
                    self.verb = Some(word.map(|word| word.text.to_lowercase()).unwrap_or_default());
                }
                self.text.push_str(token.text);
            }
        }
    }

    fn parameter(&mut self, name: &'s str) {
        self.begin();
        self.verb.get_or_insert_default();
        self.last = Some(Token { kind: Kind::Word, text: name });
        self.behind_text = false;
        self.pieces.push(Piece::Text(std::mem::take(&mut self.text)));
        self.pieces.push(Piece::Parameter(name.to_owned()));
    }

    fn begin(&mut self) {
        if !self.begun {
            (self.begun, self.statements) = (true, self.statements + 1);
        }
    }

    fn statement(mut self) -> Statement {
        let rest = self.text.trim_end_matches(is_space);
        if !rest.is_empty() {
            self.pieces.push(Piece::Text(rest.to_owned()));
        }
        Statement {
            pieces: self.pieces,
            statements: self.statements,
            verb: self.verb.unwrap_or_default(),
            numbered: self.numbered,
        }
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
            ("select 1 -- :input\n, :input", "select 1  \n, X"),
            ("select 1 /* :input /* :input */ */ + :input", "select 1   + X"),
            ("select a[1:2], b := 1, :other", "select a[1:2], b := 1, :other"),
            ("select a$b$c, :input", "select a$b$c, X"),
            (r"select E'it''s \' :input \'', :input", r"select E'it''s \' :input \'', X"),
            ("select E'a' -- b\n'\\' :input', :input", "select E'a' -- b\n'\\' :input', X"),
            ("select 1 --\r+ :input", "select 1  \r+ X"),
            ("select $€$ ' :input $€$, :input", "select $€$ ' :input $€$, X"),
            (
                "select array[:input], a[1:input], a[b:input], a[f(:input):input]",
                "select array[X], a[1:input], a[b:input], a[f(X):input]",
            ),
            ("select array[case when :input then :input end]", "select array[case when X then X end]"),
            ("select:input, e:input", "select X, e X"),
            ("select 'a' /* b */\n'c'", "select 'a' /**/\n'c'"),
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
            (":input", 1, ""),
            ("\u{a0}select 1", 1, "\u{a0}select"),
            ("insert into t values (1); commit", 2, "insert"),
        ] {
            let statement = Statement::parse(sql).expect("SQL");
            assert_eq!((statement.statements(), statement.verb()), (count, verb), "{sql}");
        }
    }

    #[test]
    fn what_has_no_end_is_named() {
        for (sql, why) in [
            ("select 'a", Unterminated::Text),
            ("select E'a\\'", Unterminated::Text),
            ("select \"a", Unterminated::Name),
            ("select $a$ b $$", Unterminated::Dollar),
            ("select /* a", Unterminated::Comment),
        ] {
            assert_eq!(Statement::parse(sql), Err(why), "{sql}");
        }
    }

    #[test]
    fn arrays_hold_literals() {
        assert_eq!(array(["a", "b'"], "text"), "array['a', 'b''']::text[]");
    }
}
