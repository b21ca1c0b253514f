//! The only ways in which a value gets into SQL.

/// A string literal that means the same whatever `standard_conforming_strings` says.
pub fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") }
}

/// A name, quoted whatever is in it.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Text that stays inside its comment line: nothing in it can end the line.
pub fn comment(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || c == '\u{2028}' || c == '\u{2029}' { ' ' } else { c }).collect()
}

/// A dollar-quote tag that occurs in none of the texts: `$word$`, else `$word1$`, `$word2$` …
pub fn dollar_tag<'a>(word: &str, texts: impl Iterator<Item = &'a str> + Clone) -> String {
    let free = |tag: &String| texts.clone().all(|text| !text.contains(tag.as_str()));
    let numbered = (1u32..).map(|n| format!("${word}{n}$"));
    std::iter::once(format!("${word}$")).chain(numbered).find(free).expect("texts are finite, numbers are not")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_backslashes_are_doubled() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\'b"), r"E'a\\''b'");
    }

    #[test]
    fn a_comment_stays_on_its_line() {
        assert_eq!(comment("a\nb\r\u{2028}c"), "a b  c");
    }

    #[test]
    fn a_tag_is_free_of_every_text() {
        assert_eq!(dollar_tag("plan", ["x"].into_iter()), "$plan$");
        assert_eq!(dollar_tag("plan", ["$plan$", "$plan1$"].into_iter()), "$plan2$");
    }
}
