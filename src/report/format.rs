//! JSON and Markdown in reports.

use serde::Serialize;

use flowsmith_core::visible::visible_line;

/// A report as indented JSON with a line end.
pub(super) fn json(report: &impl Serialize) -> String {
    serde_json::to_string_pretty(report).expect("a report has string keys only") + "\n"
}

/// Markdown of a sentence on one line, also in a table cell. Text between backticks is code; whatever else Markdown or GitHub
/// interprets (HTML, links, mentions, references, emphasis, formulas) is shown as it is, because the sentence may quote others.
pub(super) fn markdown(text: &str) -> String {
    let text = visible_line(text);
    let parts: Vec<&str> = text.split('`').collect();
    // With an odd number of backticks, or adjacent ones, Markdown would pair them differently.
    let inner = parts.get(1..parts.len() - 1).unwrap_or_default();
    if parts.len().is_multiple_of(2) || inner.iter().any(|part| part.is_empty()) {
        return entities(&text);
    }
    let part = |(place, part): (usize, &&str)| if place % 2 == 1 { code(part) } else { entities(part) };
    parts.iter().enumerate().map(part).collect()
}

/// Markdown of a text as code, also in a table cell.
pub(super) fn code(text: &str) -> String {
    let text = visible_line(text);
    // Backslashes and bars have a meaning in the code of table cells, and blanks at the ends are dropped.
    if text.is_empty() || text.contains(['`', '|', '\\']) || text.trim() != text {
        format!("<code>{}</code>", entities(&text))
    } else {
        format!("`{text}`")
    }
}

/// The text with entities for all characters that Markdown interprets at their place.
fn entities(text: &str) -> String {
    let characters: Vec<char> = text.chars().collect();
    let is_word = |place: Option<usize>| {
        place.and_then(|place| characters.get(place)).is_some_and(|c| c.is_alphanumeric() || *c == '_')
    };
    let follows = |place: usize, text: &str| characters[place..].iter().take(text.len()).collect::<String>() == text;
    let mut escaped = String::with_capacity(text.len());
    for (place, character) in characters.iter().copied().enumerate() {
        let before = place.checked_sub(1);
        let is_plain = match character {
            '&' | '<' | '>' | '[' | ']' | '*' | '~' | '|' | '\\' | '`' | '#' | '$' | '!' => false,
            // Within a name, an underscore is one.
            '_' => is_word(before) && is_word(Some(place + 1)),
            // `order@2` is not a mention.
            '@' => is_word(before) && characters.get(place + 1).is_some_and(char::is_ascii_digit),
            // The start of an address, and a name of an emoji.
            ':' => !follows(place, "://") && !is_word(Some(place + 1)),
            '.' => {
                !before.is_some_and(|end| end >= 2 && characters[end - 2..=end].iter().all(|c| matches!(c, 'w' | 'W')))
            }
            _ => true,
        };
        if is_plain {
            escaped.push(character);
        } else {
            escaped.push_str(&format!("&#{};", u32::from(character)));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::{code, markdown};

    #[test]
    fn sentences_keep_their_code_and_their_names() {
        let text = "raise `version:` of order@2: max_attempts 3 → 5 (see `flowsmith drift`)";
        assert_eq!(markdown(text), text);
    }

    #[test]
    fn nothing_foreign_is_interpreted() {
        for (hostile, escaped) in [
            ("a | b", "a &#124; b"),
            ("<script>", "&#60;script&#62;"),
            ("&lt;", "&#38;lt;"),
            ("@team x@team.org", "&#64;team x&#64;team.org"),
            ("[x](https://x.test)", "&#91;x&#93;(https&#58;//x.test)"),
            ("![x](//x.test)", "&#33;&#91;x&#93;(//x.test)"),
            ("www.x.test", "www&#46;x.test"),
            (
                "**b** _i_ ~~s~~ $x$ #1 :smile:",
                "&#42;&#42;b&#42;&#42; &#95;i&#95; &#126;&#126;s&#126;&#126; &#36;x&#36; &#35;1 &#58;smile:",
            ),
            ("`odd", "&#96;odd"),
            ("``", "&#96;&#96;"),
            ("`a` ``b`", "&#96;a&#96; &#96;&#96;b&#96;"),
            ("\\`<b>`", "&#92;`<b>`"),
            ("`a|b`", "<code>a&#124;b</code>"),
            ("a\nb\u{202e}", "a b&#92;u{202e}"),
        ] {
            assert_eq!(markdown(hostile), escaped, "{hostile}");
        }
        assert_eq!(code("a`b"), "<code>a&#96;b</code>");
        assert_eq!(code("order@1"), "`order@1`");
    }
}
