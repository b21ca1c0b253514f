//! Whether a text is one SQL expression, as far as that can be told without a parser: it leaves every quotation, comment
//! and parenthesis that it opens, closes none that it did not open, and ends no statement. So it can be put into
//! parentheses and stays within them. Whether it means something is for the database to say.

use thiserror::Error;

/// Why a text is no SQL expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ExpressionError {
    /// Nothing but blanks and comments.
    #[error("it is empty")]
    Empty,
    /// A semicolon outside of quotations.
    #[error("it has a semicolon, which ends a statement")]
    Semicolon,
    /// Something is opened and not closed.
    #[error("{0} is not closed")]
    Open(&'static str),
    /// A closing parenthesis or bracket that belongs to nothing.
    #[error("`{0}` closes nothing")]
    Closes(char),
}

/// Looks at a text.
///
/// # Errors
/// At the first thing that would let it out of the parentheses that it is put into.
pub fn check(text: &str) -> Result<(), ExpressionError> {
    let mut rest = text;
    let mut open: Vec<char> = Vec::new();
    let mut is_empty = true;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix("--") {
            rest = after.split_once('\n').map_or("", |(_, after)| after);
            continue;
        }
        if rest.starts_with("/*") {
            rest = after_comment(rest)?;
            continue;
        }
        is_empty &= first.is_whitespace();
        rest = match first {
            ';' => return Err(ExpressionError::Semicolon),
            '\'' => after_quote(&rest[1..], '\'', false).ok_or(ExpressionError::Open("a text"))?,
            '"' => after_quote(&rest[1..], '"', false).ok_or(ExpressionError::Open("a quoted name"))?,
            '$' => after_dollars(rest)?,
            '(' | '[' => {
                open.push(if first == '(' { ')' } else { ']' });
                &rest[1..]
            }
            ')' | ']' => {
                if open.pop() != Some(first) {
                    return Err(ExpressionError::Closes(first));
                }
                &rest[1..]
            }
            _ if first.is_alphanumeric() || first == '_' => after_word(rest)?,
            _ => &rest[first.len_utf8()..],
        };
    }
    match open.last() {
        Some(')') => Err(ExpressionError::Open("a parenthesis")),
        Some(_) => Err(ExpressionError::Open("a bracket")),
        None if is_empty => Err(ExpressionError::Empty),
        None => Ok(()),
    }
}

/// A name, a number or a word; where it is the `E` of a text with escapes, that text as well. Dollars within are part of it.
fn after_word(text: &str) -> Result<&str, ExpressionError> {
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '$')).unwrap_or(text.len());
    let (word, after) = text.split_at(end);
    match after.strip_prefix('\'') {
        Some(quoted) if word.eq_ignore_ascii_case("e") => {
            after_quote(quoted, '\'', true).ok_or(ExpressionError::Open("a text"))
        }
        _ => Ok(after),
    }
}

/// What follows the closing quote; a doubled quote is none.
fn after_quote(text: &str, quote: char, escapes: bool) -> Option<&str> {
    let mut chars = text.char_indices().peekable();
    while let Some((place, c)) = chars.next() {
        if escapes && c == '\\' {
            chars.next();
        } else if c == quote && chars.next_if(|(_, next)| *next == quote).is_none() {
            return Some(&text[place + 1..]);
        }
    }
    None
}

/// What follows a dollar-quoted text; a dollar that begins none is passed over.
fn after_dollars(text: &str) -> Result<&str, ExpressionError> {
    let inner = &text[1..];
    let Some(end) = inner.find('$') else { return Ok(inner) };
    let word = &inner[..end];
    let is_tag =
        !word.starts_with(|c: char| c.is_ascii_digit()) && word.chars().all(|c| c.is_alphanumeric() || c == '_');
    if !is_tag {
        return Ok(inner);
    }
    let tag = &text[..end + 2];
    let after = &text[tag.len()..];
    after.find(tag).map(|place| &after[place + tag.len()..]).ok_or(ExpressionError::Open("a text in dollars"))
}

/// What follows a comment; comments may hold comments.
fn after_comment(text: &str) -> Result<&str, ExpressionError> {
    let mut rest = &text[2..];
    let mut depth = 1;
    while depth > 0 {
        let open = rest.find("/*");
        let close = rest.find("*/").ok_or(ExpressionError::Open("a comment"))?;
        match open.filter(|open| *open < close) {
            Some(open) => (rest, depth) = (&rest[open + 2..], depth + 1),
            None => (rest, depth) = (&rest[close + 2..], depth - 1),
        }
    }
    Ok(rest)
}

#[cfg(test)]
mod tests {
    use super::{ExpressionError, check};

    #[test]
    fn expressions_are_accepted() {
        for text in [
            "new.status = 'paid' and old.status is distinct from 'paid'",
            "jsonb_build_object('a;', new.\"odd;)name\")",
            "select id from shop.customers where id = new.customer",
            "E'it\\'s ;' || 'it''s' || $$; )$$ || $a$ $$ ) $a$",
            "(array[1, 2])[1] = 1 -- ) ;",
            "true /* ; /* ) */ ( */",
            "case when new.a then '{}' end::jsonb",
            "new.a$b = 'c'",
            "'\\'",
        ] {
            assert_eq!(check(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_would_leave_its_parentheses_is_refused() {
        for (text, error) in [
            ("true); drop table users; --", ExpressionError::Closes(')')),
            ("true; drop table users", ExpressionError::Semicolon),
            ("(true", ExpressionError::Open("a parenthesis")),
            ("(array[1)]", ExpressionError::Closes(')')),
            ("'it''s", ExpressionError::Open("a text")),
            ("E'\\'", ExpressionError::Open("a text")),
            ("\"a", ExpressionError::Open("a quoted name")),
            ("$a$ $b$", ExpressionError::Open("a text in dollars")),
            ("true /* /* */", ExpressionError::Open("a comment")),
            (" -- nothing\n /* */ ", ExpressionError::Empty),
        ] {
            assert_eq!(check(text), Err(error), "{text}");
        }
    }
}
