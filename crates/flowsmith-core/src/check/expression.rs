//! Lexical check of SQL expressions. A text passes if its quotes, comments, parentheses and brackets are balanced and it
//! contains no semicolon, so that it can be embedded in parentheses without ending them. Only the database can check its
//! syntax and its names.

use thiserror::Error;

use crate::sql::Unterminated;
use crate::sql::token::{Kind, tokens};

/// The reason why a text is not an SQL expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ExpressionError {
    /// The text has only white space and comments.
    #[error("it is empty")]
    Empty,
    /// The text has a semicolon outside of quotes.
    #[error("it contains a semicolon")]
    Semicolon,
    /// A quote or a comment is not terminated.
    #[error(transparent)]
    Unterminated(#[from] Unterminated),
    /// A parenthesis or bracket is not closed.
    #[error("it has an unclosed {0}")]
    Open(&'static str),
    /// A closing parenthesis or bracket has no counterpart.
    #[error("it has an unmatched `{0}`")]
    Closes(char),
}

/// Checks a text. It may end with a line comment: the template puts the closing parenthesis on the next line.
///
/// # Errors
/// The first token that would end the surrounding parentheses, or the first unterminated one.
pub fn check(text: &str) -> Result<(), ExpressionError> {
    let mut open: Vec<char> = Vec::new();
    let mut is_empty = true;
    for token in tokens(text) {
        let token = token?;
        if matches!(token.kind, Kind::Space | Kind::Comment) {
            continue;
        }
        is_empty = false;
        match (token.kind, token.text) {
            (Kind::Symbol, ";") => return Err(ExpressionError::Semicolon),
            (Kind::Symbol, "(") => open.push(')'),
            (Kind::Symbol, "[") => open.push(']'),
            (Kind::Symbol, ")" | "]") => {
                let closing = if token.text == ")" { ')' } else { ']' };
                if open.pop() != Some(closing) {
                    return Err(ExpressionError::Closes(closing));
                }
            }
            _ => {}
        }
    }
    match open.last() {
        Some(')') => Err(ExpressionError::Open("parenthesis")),
        Some(_) => Err(ExpressionError::Open("bracket")),
        None if is_empty => Err(ExpressionError::Empty),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{ExpressionError, check};
    use crate::sql::Unterminated;

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
    fn texts_that_would_end_the_surrounding_parentheses_are_rejected() {
        for (text, error) in [
            ("true); drop table users; --", ExpressionError::Closes(')')),
            ("true; drop table users", ExpressionError::Semicolon),
            ("true --\r) then null; end if; drop table users; if (true", ExpressionError::Closes(')')),
            ("E'a'\n'\\'' = ''); drop table users; --'", ExpressionError::Closes(')')),
            ("$€$ ' $€$ = '' ); drop table users; --'", ExpressionError::Closes(')')),
            ("1$a$ ' $a$ = '' ); drop table users; --'", ExpressionError::Closes(')')),
            ("\u{a0}E'\\' = '' ); drop table users; --'", ExpressionError::Closes(')')),
            ("(true", ExpressionError::Open("parenthesis")),
            ("(array[1)]", ExpressionError::Closes(')')),
            ("'it''s", ExpressionError::Unterminated(Unterminated::Text)),
            ("E'\\'", ExpressionError::Unterminated(Unterminated::Text)),
            ("\"a", ExpressionError::Unterminated(Unterminated::Name)),
            ("$a$ $b$", ExpressionError::Unterminated(Unterminated::Dollar)),
            ("true /* /* */", ExpressionError::Unterminated(Unterminated::Comment)),
            (" -- nothing\n /* */ ", ExpressionError::Empty),
        ] {
            assert_eq!(check(text), Err(error), "{text}");
        }
    }
}
