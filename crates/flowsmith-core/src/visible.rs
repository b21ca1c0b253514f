//! Makes characters visible that act on a terminal, change the direction of text, or are not shown at all. Text of others is
//! printed only through these functions, so that it cannot pass for anything else.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Whether a character controls a terminal or the layout, or has no shape of its own: control characters, marks of direction,
/// line and paragraph separators, characters without width, fillers, and tags.
pub fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// The text with every invisible character as `\u{…}`, also line breaks and tabs.
pub fn visible(text: &str) -> Cow<'_, str> {
    escaped(text, is_invisible, |escaped, character| {
        let _ = write!(escaped, "{}", character.escape_unicode());
    })
}

/// The text with every invisible character as `\u{…}`, except line breaks and tabs.
pub fn visible_lines(text: &str) -> Cow<'_, str> {
    let is_escaped = |character| !matches!(character, '\n' | '\t') && is_invisible(character);
    escaped(text, is_escaped, |escaped, character| {
        let _ = write!(escaped, "{}", character.escape_unicode());
    })
}

/// A message with every invisible character as `\u{…}`, except line breaks and tabs. No line of it after the first one can be
/// read as a command by a runner of GitHub Actions, which accepts `::command::` and `##[command]` behind blanks.
pub fn visible_message(text: &str) -> Cow<'_, str> {
    let is_command = |line: &str| {
        let line = line.trim_start();
        line.starts_with("::") || line.starts_with("##[")
    };
    let shown = visible_lines(text);
    if !shown.lines().skip(1).any(is_command) {
        return shown;
    }
    let inert = |(number, line): (usize, &str)| match number > 0 && is_command(line) {
        true => {
            let rest = line.trim_start();
            let (first, rest) = rest.split_at(1);
            format!("\\u{{{:x}}}{rest}", u32::from(first.as_bytes()[0]))
        }
        false => line.to_owned(),
    };
    Cow::Owned(shown.split('\n').enumerate().map(inert).collect::<Vec<_>>().join("\n"))
}

/// The text on one line: line breaks and tabs as blanks, every other invisible character as `\u{…}`.
pub fn visible_line(text: &str) -> Cow<'_, str> {
    escaped(text, is_invisible, |escaped, character| match character {
        '\n' | '\t' | '\r' => escaped.push(' '),
        _ => {
            let _ = write!(escaped, "{}", character.escape_unicode());
        }
    })
}

/// A JSON text of the same value, in which the escapes of JSON stand for invisible characters.
pub fn visible_json(json: &str) -> Cow<'_, str> {
    // JSON has these outside of strings only as line breaks and blanks.
    let is_escaped = |character| !matches!(character, '\n' | '\t' | '\r') && is_invisible(character);
    escaped(json, is_escaped, |escaped, character| {
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(escaped, "\\u{unit:04x}");
        }
    })
}

/// Text with the styles of a report. Its colour codes remain, and every other invisible character is escaped, except line breaks
/// and tabs.
pub fn visible_styled(text: &str) -> Cow<'_, str> {
    if !text.chars().any(|character| !matches!(character, '\n' | '\t') && is_invisible(character)) {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len());
    let mut parts = text.split('\u{1b}');
    result.push_str(&visible_lines(parts.next().unwrap_or_default()));
    for part in parts {
        let code = colour_code(part);
        if code == 0 {
            result.push_str("\\u{1b}");
        } else {
            result.push('\u{1b}');
            result.push_str(&part[..code]);
        }
        result.push_str(&visible_lines(&part[code..]));
    }
    Cow::Owned(result)
}

/// The length of the colour code at the beginning, without its ESC; 0 if it is anything else. Codes that hide text or make it
/// blink are not among the styles of reports.
fn colour_code(text: &str) -> usize {
    let Some((numbers, _)) = text.strip_prefix('[').and_then(|text| text.split_once('m')) else { return 0 };
    let is_style = |number: &str| matches!(number, "" | "0" | "1" | "2" | "3" | "4" | "22" | "39");
    let is_colour = |number: &str| number.len() == 2 && matches!(number.as_bytes(), [b'3' | b'9', b'0'..=b'7']);
    if numbers.split(';').all(|number| is_style(number) || is_colour(number)) { numbers.len() + 2 } else { 0 }
}

/// Replaces the characters for which `is_escaped` is true. Most texts have none.
fn escaped(text: &str, is_escaped: impl Fn(char) -> bool, mut escape: impl FnMut(&mut String, char)) -> Cow<'_, str> {
    let Some((first, _)) = text.char_indices().find(|(_, character)| is_escaped(*character)) else {
        return Cow::Borrowed(text);
    };
    let mut result = String::with_capacity(text.len() + 16);
    result.push_str(&text[..first]);
    for character in text[first..].chars() {
        if is_escaped(character) {
            escape(&mut result, character);
        } else {
            result.push(character);
        }
    }
    Cow::Owned(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_holds_no_command_of_a_runner() {
        let message = "unknown field `x\n::error::a\n  ##[error]b\n: c\n a::b";
        assert_eq!(visible_message(message), "unknown field `x\n\\u{3a}:error::a\n\\u{23}#[error]b\n: c\n a::b");
        assert!(matches!(visible_message("a\nb"), Cow::Borrowed("a\nb")));
    }

    #[test]
    fn every_kind_of_invisible_character_is_escaped() {
        for character in "\0\u{7}\u{b}\r\u{1b}\u{7f}\u{80}\u{85}\u{9b}\u{ad}\u{61c}\u{180e}\u{200b}\u{200d}\u{200e}\u{200f}\
                          \u{2028}\u{2029}\u{202a}\u{202e}\u{2060}\u{2066}\u{2069}\u{206a}\u{3164}\u{feff}\u{fff9}\u{e0001}\u{e0041}\u{e0100}"
            .chars()
        {
            let (text, code) = (format!("a{character}b"), u32::from(character));
            assert_eq!(visible(&text), format!("a\\u{{{code:x}}}b"));
            assert_eq!(visible_styled(&text), format!("a\\u{{{code:x}}}b"));
            let json = visible_json(&serde_json::Value::from(text.clone()).to_string()).into_owned();
            assert!(!json.chars().any(is_invisible), "{json}");
            assert_eq!(serde_json::from_str::<String>(&json).unwrap_or_default(), text);
        }
        for text in ["größe 日本 é e\u{301} ❤\u{fe0f} 😀", "", "plain"] {
            assert!(matches!(visible(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn line_breaks_and_tabs_are_kept_where_the_layout_needs_them() {
        let text = "a\n\tb\rc";
        assert_eq!(visible(text), "a\\u{a}\\u{9}b\\u{d}c");
        assert_eq!(visible_lines(text), "a\n\tb\\u{d}c");
        assert_eq!(visible_line(text), "a  b c");
    }

    #[test]
    fn only_colours_pass_as_styles() {
        let painted = "\u{1b}[1m\u{1b}[91merror\u{1b}[0m\u{1b}[m \u{1b}[1;32mok\u{1b}[39m\n";
        assert_eq!(visible_styled(painted), painted);
        for (hostile, shown) in [
            ("\u{1b}[2Jx", "\\u{1b}[2Jx"),
            ("\u{1b}[8mx", "\\u{1b}[8mx"),
            ("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}"),
            ("\u{1b}[31\u{9b}m", "\\u{1b}[31\\u{9b}m"),
            ("x\u{1b}", "x\\u{1b}"),
            ("\u{1b}[31mx\u{202e}", "\u{1b}[31mx\\u{202e}"),
        ] {
            assert_eq!(visible_styled(hostile), shown);
        }
    }
}
