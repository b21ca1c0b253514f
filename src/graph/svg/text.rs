//! Text in diagrams: width, line breaks and escaping.

use std::fmt::Write as _;

use flowsmith_core::visible::is_invisible;

/// The width of a character of a monospaced font in ems. It is that of DejaVu Sans Mono, the widest of the common ones.
const MONO: f64 = 0.602;

/// The width of a text in a monospaced font in pixels.
pub(super) fn mono_width(text: &str, size: f64) -> f64 {
    text.chars().map(|c| if is_wide(c) { 2.0 * MONO } else { MONO }).sum::<f64>() * size
}

/// The width of a bold character relative to a regular one.
pub(super) const BOLD: f64 = 1.12;

/// The greatest width of a text in a proportional font in pixels. The font of the viewer is unknown, so each character has the
/// width that it has in DejaVu Sans, the widest of the common ones.
pub(super) fn width(text: &str, size: f64) -> f64 {
    text.chars().map(letter).sum::<f64>() * size
}

fn letter(c: char) -> f64 {
    match c {
        'i' | 'j' | 'l' | '\'' | '|' | ' ' | '.' | ',' | ':' | ';' => 0.34,
        'f' | 't' | 'r' | 'I' | '!' | '(' | ')' | '[' | ']' | '/' | '-' | '·' => 0.42,
        'c' | 's' | 'z' | '_' | '?' => 0.56,
        'm' | 'M' | 'W' | '@' | '%' | '→' | '…' => 1.0,
        'A'..='Z' | 'w' | '+' | '=' | '<' | '>' | '~' | '−' => 0.83,
        c if is_wide(c) => 1.05,
        _ => 0.64,
    }
}

/// Whether a character has double width, like East Asian scripts and emoji.
fn is_wide(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}')
}

/// The first line of a text, truncated with `…` to a number of pixels.
pub(super) fn shortened(text: &str, size: f64, limit: f64) -> String {
    let line = text.split(['\n', '\r']).next().unwrap_or_default();
    if line.len() == text.len() && width(text, size) <= limit {
        return text.to_owned();
    }
    let mut room = limit - width("…", size);
    let kept: String = line
        .chars()
        .take_while(|c| {
            room -= letter(*c) * size;
            room >= 0.0
        })
        .collect();
    format!("{}…", kept.trim_end())
}

/// A name in lines with a limited number of characters, broken after underscores and before capitals if possible.
pub(super) fn name_lines(name: &str, limit: usize) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut lines = Vec::new();
    let mut rest = letters.as_slice();
    while rest.len() > limit {
        let is_seam = |at: &usize| rest[at - 1] == '_' || rest[at - 1].is_lowercase() && rest[*at].is_uppercase();
        // Avoid a line with only a few characters.
        let at = (limit / 3..=limit).rev().find(is_seam).unwrap_or(limit);
        lines.push(rest[..at].iter().collect());
        rest = &rest[at..];
    }
    lines.push(rest.iter().collect());
    lines
}

/// A text in lines with a limited number of pixels, broken between words. Longer words are truncated.
pub(super) fn text_lines(text: &str, size: f64, limit: f64) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if width(line, size) + width(" ", size) + width(word, size) <= limit => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(shortened(word, size, limit)),
        }
    }
    lines
}

/// Text escaped for XML and HTML, between tags and in attributes. Invisible characters
/// become visible.
pub(crate) fn escaped(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => result.push_str("&amp;"),
            '<' => result.push_str("&lt;"),
            '>' => result.push_str("&gt;"),
            '"' => result.push_str("&quot;"),
            '\'' => result.push_str("&#39;"),
            '\n' | '\t' => result.push(c),
            '\u{fffe}' | '\u{ffff}' => result.push('\u{fffd}'),
            // Directional characters can disguise the actual text, and XML does not allow control characters.
            c if is_invisible(c) => {
                let _ = write!(result, "{}", c.escape_unicode());
            }
            c => result.push(c),
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_break_at_their_seams() {
        assert_eq!(name_lines("short", 10), ["short"]);
        assert_eq!(name_lines("reserve_all_items_now", 12), ["reserve_all_", "items_now"]);
        assert_eq!(name_lines("reserveAllItemsNow", 12), ["reserveAll", "ItemsNow"]);
        assert_eq!(name_lines(&"x".repeat(25), 10), ["x".repeat(10), "x".repeat(10), "x".repeat(5)]);
    }

    #[test]
    fn texts_are_cut_to_their_room_and_at_line_ends() {
        assert_eq!(shortened("short", 10.0, 100.0), "short");
        let cut = shortened(&"wide ".repeat(30), 10.0, 100.0);
        assert!(cut.ends_with("wide…") || cut.ends_with('…') && width(&cut, 10.0) <= 100.0, "{cut}");
        assert_eq!(shortened("one\ntwo", 10.0, 100.0), "one…");
        assert_eq!(text_lines("a b  c", 10.0, 18.0), ["a b", "c"]);
    }

    #[test]
    fn nothing_gets_out_of_its_quotes() {
        assert_eq!(escaped("<a b='\"'>&\0\u{202e}"), "&lt;a b=&#39;&quot;&#39;&gt;&amp;\\u{0}\\u{202e}");
    }
}
