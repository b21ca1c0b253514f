//! Text in a picture: how wide it is, where it breaks, how it is written down.

use std::fmt::Write as _;

/// The width of a letter of a monospaced font, in ems: that of DejaVu Sans Mono, which none of the usual ones exceeds.
const MONO: f64 = 0.602;

/// Pixels that a text takes in a monospaced font of a size.
pub(super) fn mono_width(text: &str, size: f64) -> f64 {
    text.chars().map(|c| if is_wide(c) { 2.0 * MONO } else { MONO }).sum::<f64>() * size
}

/// How much wider a bold letter is.
pub(super) const BOLD: f64 = 1.12;

/// Pixels that a text takes at most in a proportional font of a size. Which font it will be is not known here, so each
/// letter counts as in the widest of the usual ones (DejaVu Sans).
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

/// Whether a letter is as wide as high: East Asian scripts, emoji.
fn is_wide(c: char) -> bool {
    matches!(c, '\u{1100}'..='\u{115f}' | '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7a3}' | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}' | '\u{ff00}'..='\u{ff60}' | '\u{1f300}'..='\u{1faff}' | '\u{20000}'..='\u{3fffd}')
}

/// A text that takes no more than so many pixels, with `…` where it was cut.
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

/// A name in lines of at most so many letters, broken behind underscores and before capitals where there are any.
pub(super) fn name_lines(name: &str, limit: usize) -> Vec<String> {
    let letters: Vec<char> = name.chars().collect();
    let mut lines = Vec::new();
    let mut rest = letters.as_slice();
    while rest.len() > limit {
        let is_seam = |at: &usize| rest[at - 1] == '_' || rest[at - 1].is_lowercase() && rest[*at].is_uppercase();
        // No line is left with a few letters only.
        let at = (limit / 3..=limit).rev().find(is_seam).unwrap_or(limit);
        lines.push(rest[..at].iter().collect());
        rest = &rest[at..];
    }
    lines.push(rest.iter().collect());
    lines
}

/// A text in lines that take at most so many pixels, broken between words; a word that is longer is cut.
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

/// Text as XML and HTML want it, between tags and in quotes. What XML does not allow at all is shown as `�`.
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
            '\r' | '\u{fffe}' | '\u{ffff}' => result.push('\u{fffd}'),
            // Marks that turn the direction of what follows, and so could make a text read as another.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                let _ = write!(result, "\\u{{{:x}}}", u32::from(c));
            }
            c if c.is_control() => result.push('\u{fffd}'),
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
        assert_eq!(escaped("<a b='\"'>&\0\u{202e}"), "&lt;a b=&#39;&quot;&#39;&gt;&amp;\u{fffd}\\u{202e}");
    }
}
