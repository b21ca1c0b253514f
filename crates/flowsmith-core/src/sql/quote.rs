//! Quoting of values in SQL text.

/// A string literal whose meaning does not depend on `standard_conforming_strings`.
pub fn literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if text.contains('\\') { format!("E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") }
}

/// A quoted identifier.
pub fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Text for a line comment: characters that could end the line, do not show or reorder the line are replaced with spaces.
pub fn comment(text: &str) -> String {
    text.chars().map(|c| if is_hidden(c) { ' ' } else { c }).collect()
}

/// Whether a character does not show, or changes how the characters around it show: control and format characters of Unicode.
pub fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A dollar-quote tag that does not occur in the texts: `$word$`, or else `$word1$`, `$word2$` and so on.
pub fn dollar_tag<'a>(word: &str, texts: impl Iterator<Item = &'a str> + Clone) -> String {
    let free = |tag: &String| texts.clone().all(|text| !text.contains(tag.as_str()));
    let numbered = (1u32..).map(|n| format!("${word}{n}$"));
    std::iter::once(format!("${word}$")).chain(numbered).find(free).expect("texts are finite, numbers are not")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literal_doubles_quotes_and_backslashes() {
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal(r"a\'b"), r"E'a\\''b'");
    }

    #[test]
    fn comment_stays_on_one_line() {
        assert_eq!(comment("a\nb\r\u{2028}c"), "a b  c");
    }

    #[test]
    fn dollar_tag_does_not_occur_in_the_texts() {
        assert_eq!(dollar_tag("plan", ["x"].into_iter()), "$plan$");
        assert_eq!(dollar_tag("plan", ["$plan$", "$plan1$"].into_iter()), "$plan2$");
    }
}
