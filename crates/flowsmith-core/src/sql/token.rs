//! A tokenizer for SQL that finds the same token boundaries as PostgreSQL: it follows the chapter "Lexical Structure" of the
//! manual and the rules of `scan.l`. It does not validate tokens; the server does. Text that is not valid SQL is split as in
//! one of the supported versions of PostgreSQL.
//!
//! It assumes `standard_conforming_strings = on`, the default: a backslash is an escape only in `E'…'`.

use super::Unterminated;

/// A token of SQL. The concatenated tokens of a text are that text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token<'s> {
    pub(crate) kind: Kind,
    pub(crate) text: &'s str,
}

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Blanks and line breaks of ASCII. Every character beyond ASCII is a letter, including U+00A0.
    Space,
    /// `-- …` without its line break, or `/* … */`.
    Comment,
    /// `'…'` with its prefix (`E`, `B`, `X`, `N`, `U&`) and all continuations, or `$tag$…$tag$`.
    Text,
    /// `"…"` or `U&"…"`.
    QuotedName,
    /// A keyword or a name: letters, digits, underscores, dollars.
    Word,
    /// `1`, `1.5e-3`. Versions differ on letters after digits: here they form a separate word, as in PostgreSQL 14.
    Number,
    /// `$1`.
    Parameter,
    /// `::`, `:=`, or any other character: one of an operator, a bracket, a comma.
    Symbol,
}

/// The tokens of a text, up to the first unterminated one.
pub(crate) fn tokens(sql: &str) -> impl Iterator<Item = Result<Token<'_>, Unterminated>> {
    let mut rest = sql;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        Some(match first(rest.as_bytes()) {
            Ok((kind, length)) => {
                let (text, after) = rest.split_at(length);
                rest = after;
                Ok(Token { kind, text })
            }
            Err(unterminated) => {
                rest = "";
                Err(unterminated)
            }
        })
    })
}

/// `space` of scan.l. A vertical tab is a space since PostgreSQL 16, and an error before.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// `ident_cont` of scan.l.
pub(crate) fn is_part_of_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

/// The first token and its length in bytes. Working on bytes is safe, as in scan.l: every byte beyond ASCII belongs to a
/// letter, and no token ends between two of them. Operators need no rule, because `--` and `/*` end them.
fn first(sql: &[u8]) -> Result<(Kind, usize), Unterminated> {
    Ok(match *sql {
        [b'-', b'-', ..] => (Kind::Comment, line(sql)),
        [b'/', b'*', ..] => (Kind::Comment, comment(sql)?),
        [b'\'', ..] => (Kind::Text, text(sql, 1, false)?),
        [b'e' | b'E', b'\'', ..] => (Kind::Text, text(sql, 2, true)?),
        [b'b' | b'B' | b'x' | b'X' | b'n' | b'N', b'\'', ..] => (Kind::Text, text(sql, 2, false)?),
        [b'u' | b'U', b'&', b'\'', ..] => (Kind::Text, text(sql, 3, false)?),
        [b'"', ..] => (Kind::QuotedName, quoted_name(sql, 1)?),
        [b'u' | b'U', b'&', b'"', ..] => (Kind::QuotedName, quoted_name(sql, 3)?),
        [b'$', c, ..] if c.is_ascii_digit() => (Kind::Parameter, 1 + digits(&sql[1..])),
        [b'$', ..] => match fence(sql) {
            Some(length) => (Kind::Text, dollar_text(sql, length)?),
            None => (Kind::Symbol, 1),
        },
        [b':', b':' | b'=', ..] => (Kind::Symbol, 2),
        [c, ..] if is_space(c.into()) => (Kind::Space, length_of(sql, |c| is_space(c.into()))),
        [c, ..] if c.is_ascii_digit() => (Kind::Number, number(sql)),
        [c, ..] if is_part_of_word(c.into()) => (Kind::Word, length_of(sql, |c| is_part_of_word(c.into()))),
        _ => (Kind::Symbol, 1),
    })
}

fn length_of(sql: &[u8], is_part: impl Fn(u8) -> bool) -> usize {
    sql.iter().position(|c| !is_part(*c)).unwrap_or(sql.len())
}

fn digits(sql: &[u8]) -> usize {
    length_of(sql, |c| c.is_ascii_digit())
}

/// `comment`: up to a line break, which may be a single carriage return.
fn line(sql: &[u8]) -> usize {
    length_of(sql, |c| c != b'\n' && c != b'\r')
}

/// `xcstart` to `xcstop`: comments nest.
fn comment(sql: &[u8]) -> Result<usize, Unterminated> {
    let (mut at, mut depth) = (0, 0);
    loop {
        match sql[at..] {
            [b'/', b'*', ..] => (at, depth) = (at + 2, depth + 1),
            [b'*', b'/', ..] => (at, depth) = (at + 2, depth - 1),
            [_, ..] => at += 1,
            [] => return Err(Unterminated::Comment),
        }
        if depth == 0 {
            return Ok(at);
        }
    }
}

/// `xqinside` to `quotecontinue`, from after the opening quote. A doubled quote stands for one quote. Another quote after
/// blanks and `--` comments with a line break among them continues the string, with the same escapes.
fn text(sql: &[u8], start: usize, escapes: bool) -> Result<usize, Unterminated> {
    let mut at = start;
    loop {
        match sql[at..] {
            [b'\\', _, ..] if escapes => at += 2,
            [b'\'', b'\'', ..] => at += 2,
            [b'\'', ..] => match continuation(&sql[at + 1..]) {
                Some(length) => at += 1 + length,
                None => return Ok(at + 1),
            },
            [_, ..] => at += 1,
            [] => return Err(Unterminated::Text),
        }
    }
}

/// `quotecontinue`: the length of the text between a closing quote and the end of the quote that continues the string.
fn continuation(sql: &[u8]) -> Option<usize> {
    let (mut at, mut has_break) = (0, false);
    loop {
        match sql[at..] {
            [b'\n' | b'\r', ..] => (at, has_break) = (at + 1, true),
            [c, ..] if is_space(c.into()) => at += 1,
            [b'-', b'-', ..] => at += line(&sql[at..]),
            [b'\'', ..] if has_break => return Some(at + 1),
            _ => return None,
        }
    }
}

/// `xdinside`, from after the opening quote. A doubled quote stands for one quote. Quoted names have neither escapes nor
/// continuations.
fn quoted_name(sql: &[u8], start: usize) -> Result<usize, Unterminated> {
    let mut at = start;
    loop {
        match sql[at..] {
            [b'"', b'"', ..] => at += 2,
            [b'"', ..] => return Ok(at + 1),
            [_, ..] => at += 1,
            [] => return Err(Unterminated::Name),
        }
    }
}

/// `dolqdelim`: the length of `$$` or `$tag$`; the tag is a name without dollar signs. The caller is at the start of a token:
/// a dollar sign after a letter is part of a word, but after a number it may begin a quote.
fn fence(sql: &[u8]) -> Option<usize> {
    let tag = length_of(&sql[1..], |c| c != b'$' && is_part_of_word(c.into()));
    (sql.get(1 + tag) == Some(&b'$')).then_some(tag + 2)
}

/// `xdolq`: up to the same delimiter.
fn dollar_text(sql: &[u8], fence: usize) -> Result<usize, Unterminated> {
    let (fence, inside) = sql.split_at(fence);
    let mut at = 0;
    while !inside[at..].starts_with(fence) {
        // Skip to the next dollar sign.
        let next = inside[at..].iter().skip(1).position(|c| *c == b'$').ok_or(Unterminated::Dollar)?;
        at += 1 + next;
    }
    Ok(at + 2 * fence.len())
}

/// `integer`, `decimal` or `real`.
fn number(sql: &[u8]) -> usize {
    let mut at = digits(sql);
    if sql[at..].starts_with(b".") && !sql[at..].starts_with(b"..") {
        at += 1 + digits(&sql[at + 1..]);
    }
    let exponent = match sql[at..] {
        [b'e' | b'E', b'+' | b'-', c, ..] if c.is_ascii_digit() => 2,
        [b'e' | b'E', c, ..] if c.is_ascii_digit() => 1,
        _ => return at,
    };
    at + exponent + digits(&sql[at + exponent..])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tokens without blanks, each with the first letter of its kind.
    fn read(sql: &str) -> Vec<String> {
        let tokens: Vec<Token<'_>> = tokens(sql).collect::<Result<_, _>>().expect("an end of every token");
        assert_eq!(tokens.iter().map(|token| token.text).collect::<String>(), sql);
        let seen = tokens.iter().filter(|token| token.kind != Kind::Space);
        seen.map(|token| format!("{}{}", &format!("{:?}", token.kind)[..1], token.text)).collect()
    }

    #[test]
    fn texts_end_where_postgresql_ends_them() {
        for text in [
            "'it''s'",
            r"'\'",
            r"E'it''s \' \\'",
            r"e'\'''\''",
            r"U&'\0061'' '",
            "B'01'",
            "x'1F'",
            "N'a'",
            // They go on behind a line break, and with their escapes.
            "'a'\n'b'",
            "'a'\r'b'",
            "E'a' \t\n \x0c'\\''",
            "E'a' -- it's\n -- ';\n '\\''",
            "U&'a'\n'\\'",
            "$$ ' $a$ $$",
            "$a$ $$ $A$ $b$a$",
            "$€$ ' $€$",
            "$_1é$ $1 $_1é$",
        ] {
            assert_eq!(read(text), [format!("T{text}")]);
        }
        for (sql, tokens) in [
            ("'a' 'b'", ["T'a'", "T'b'"]),
            ("E'a' -- '", ["TE'a'", "C-- '"]),
            (r"E'a' '\'", ["TE'a'", r"T'\'"]),
            ("_E'\\'", ["W_E", "T'\\'"]),
            ("éE'\\'", ["WéE", "T'\\'"]),
            ("\u{a0}E'\\'", ["W\u{a0}E", "T'\\'"]),
            ("1E'\\''", ["N1", "TE'\\''"]),
            ("\"a\"\n\"b\"", ["Q\"a\"", "Q\"b\""]),
            ("B'0'U&\"a\"\"\\\"", ["TB'0'", "QU&\"a\"\"\\\""]),
        ] {
            assert_eq!(read(sql), tokens);
        }
        assert_eq!(read("E'a' /**/\n '\\'"), ["TE'a'", "C/**/", "T'\\'"]);
    }

    #[test]
    fn dollars_begin_a_text_only_where_a_token_begins() {
        for (sql, tokens) in [
            ("a$b$c", vec!["Wa$b$c"]),
            ("é$$", vec!["Wé$$"]),
            ("1$a$ $a$", vec!["N1", "T$a$ $a$"]),
            ("1.5e3$a$ $a$", vec!["N1.5e3", "T$a$ $a$"]),
            ("$1$a$ $a$", vec!["P$1", "T$a$ $a$"]),
            ("\"a\"$$ $$", vec!["Q\"a\"", "T$$ $$"]),
            ("$a b$", vec!["S$", "Wa", "Wb$"]),
        ] {
            assert_eq!(read(sql), tokens);
        }
    }

    #[test]
    fn comments_are_within_operators_and_within_each_other() {
        for (sql, tokens) in [
            ("a -- b\rc", vec!["Wa", "C-- b", "Wc"]),
            ("1+--b\n2", vec!["N1", "S+", "C--b", "N2"]),
            ("1*/*/* ' */-*/2", vec!["N1", "S*", "C/*/* ' */-*/", "N2"]),
            ("/*/ */", vec!["C/*/ */"]),
            ("a::b:=:c", vec!["Wa", "S::", "Wb", "S:=", "S:", "Wc"]),
            ("1..2.", vec!["N1", "S.", "S.", "N2."]),
        ] {
            assert_eq!(read(sql), tokens);
        }
    }

    #[test]
    fn what_has_no_end_is_named() {
        for (sql, why) in [
            ("'a''", Unterminated::Text),
            ("E'a\\'", Unterminated::Text),
            ("E'a\\", Unterminated::Text),
            ("'a'\n'b", Unterminated::Text),
            ("\"a\"\"", Unterminated::Name),
            ("$a$ b $A$ $$ $a", Unterminated::Dollar),
            ("$$", Unterminated::Dollar),
            ("/* /* */", Unterminated::Comment),
            ("/*/", Unterminated::Comment),
        ] {
            let read: Vec<_> = tokens(sql).collect();
            assert_eq!(read, [Err(why)], "{sql}");
        }
    }
}
