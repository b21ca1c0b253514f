//! Whether a text is one SQL expression, as far as that can be told without a parser: it leaves every quotation, comment
//! and parenthesis that it opens, closes none that it did not open, and ends no statement. So it can be put into
//! parentheses and stays within them. Whether it means something is for the database to say.

use thiserror::Error;

use crate::sql::Unclosed;
use crate::sql::token::{Kind, tokens};

/// Why a text is no SQL expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ExpressionError {
    /// Nothing but blanks and comments.
    #[error("it is empty")]
    Empty,
    /// A semicolon outside of quotations.
    #[error("it has a semicolon, which ends a statement")]
    Semicolon,
    /// A quotation or a comment is opened and not closed.
    #[error(transparent)]
    Unclosed(#[from] Unclosed),
    /// A parenthesis or bracket is opened and not closed.
    #[error("{0} is not closed")]
    Open(&'static str),
    /// A closing parenthesis or bracket that belongs to nothing.
    #[error("`{0}` closes nothing")]
    Closes(char),
}

/// Looks at a text.
///
/// # Errors
/// At the first thing that would let it out of the parentheses that it is put into. A comment to the end of a line may
/// come last: the closing parenthesis stands on the next line.
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
        Some(')') => Err(ExpressionError::Open("a parenthesis")),
        Some(_) => Err(ExpressionError::Open("a bracket")),
        None if is_empty => Err(ExpressionError::Empty),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{ExpressionError, check};
    use crate::sql::Unclosed;

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
            ("true --\r) then null; end if; drop table users; if (true", ExpressionError::Closes(')')),
            ("E'a'\n'\\'' = ''); drop table users; --'", ExpressionError::Closes(')')),
            ("$€$ ' $€$ = '' ); drop table users; --'", ExpressionError::Closes(')')),
            ("1$a$ ' $a$ = '' ); drop table users; --'", ExpressionError::Closes(')')),
            ("\u{a0}E'\\' = '' ); drop table users; --'", ExpressionError::Closes(')')),
            ("(true", ExpressionError::Open("a parenthesis")),
            ("(array[1)]", ExpressionError::Closes(')')),
            ("'it''s", ExpressionError::Unclosed(Unclosed::Text)),
            ("E'\\'", ExpressionError::Unclosed(Unclosed::Text)),
            ("\"a", ExpressionError::Unclosed(Unclosed::Name)),
            ("$a$ $b$", ExpressionError::Unclosed(Unclosed::Dollar)),
            ("true /* /* */", ExpressionError::Unclosed(Unclosed::Comment)),
            (" -- nothing\n /* */ ", ExpressionError::Empty),
        ] {
            assert_eq!(check(text), Err(error), "{text}");
        }
    }
}
