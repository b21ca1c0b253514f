//! The layout of a plan for review.

use crate::sql::quote::is_hidden;

/// The longest line, unless one value is longer.
const LINE: usize = 120;
const INDENT: &str = "  ";

/// A list or an object of the compact text.
struct Container {
    start: usize,
    end: usize,
    /// The length on one line, with a space after each comma and colon.
    width: usize,
}

/// Lays out a compact JSON text, whose keys keep their order: a list or an object is on one line if that line is short, except
/// the containers around flows, changes, steps and triggers, of which each has lines of its own. Characters that do not show, or
/// that reorder the line, are escaped.
pub(super) fn laid_out(compact: &str) -> String {
    let containers = containers(compact.as_bytes());
    let bytes = compact.as_bytes();
    let mut out = String::with_capacity(compact.len() + compact.len() / 4);
    let (mut place, mut next, mut depth) = (0, 0, 0);
    // The key of the value that follows; `None` for the elements of a list.
    let (mut key, mut last_string) = (None, "");
    while place < bytes.len() {
        match bytes[place] {
            b'{' | b'[' => {
                let Container { end, width, .. } = containers[next];
                let column = out.len() - out.rfind('\n').map_or(0, |newline| newline + 1);
                let is_empty = end == place + 1;
                if is_empty || !is_always_broken(depth, key) && column + width < LINE {
                    push_inline(&mut out, &compact[place..=end]);
                    next += containers[next..].partition_point(|inner| inner.start <= end);
                    place = end + 1;
                } else {
                    out.push(char::from(bytes[place]));
                    next += 1;
                    depth += 1;
                    new_line(&mut out, depth);
                    place += 1;
                }
                key = None;
            }
            b'}' | b']' => {
                depth -= 1;
                new_line(&mut out, depth);
                out.push(char::from(bytes[place]));
                place += 1;
            }
            b',' => {
                out.push(',');
                new_line(&mut out, depth);
                key = None;
                place += 1;
            }
            b':' => {
                out.push_str(": ");
                key = Some(last_string);
                place += 1;
            }
            b'"' => {
                let end = string_end(bytes, place);
                last_string = &compact[place + 1..end - 1];
                push_escaped(&mut out, &compact[place..end]);
                place = end;
            }
            other => {
                out.push(char::from(other));
                place += 1;
            }
        }
    }
    out
}

/// Whether a container is broken into lines however short it is. `depth` is the number of containers around it.
fn is_always_broken(depth: usize, key: Option<&str>) -> bool {
    match depth {
        // The plan, its flows, their changes.
        0..=4 => true,
        5 => matches!(key, Some("definition" | "differences")),
        6 => matches!(key, Some("steps" | "triggers")),
        _ => false,
    }
}

/// The containers in the order of their starts.
fn containers(bytes: &[u8]) -> Vec<Container> {
    let mut containers: Vec<Container> = Vec::new();
    let mut open: Vec<(usize, usize)> = Vec::new();
    let (mut place, mut separators) = (0, 0);
    while place < bytes.len() {
        match bytes[place] {
            b'"' => {
                place = string_end(bytes, place);
                continue;
            }
            b'{' | b'[' => {
                open.push((containers.len(), separators));
                containers.push(Container { start: place, end: place, width: 0 });
            }
            b'}' | b']' => {
                let (index, before) = open.pop().expect("the text is JSON");
                let container = &mut containers[index];
                container.end = place;
                container.width = place + 1 - container.start + separators - before;
            }
            b',' | b':' => separators += 1,
            _ => {}
        }
        place += 1;
    }
    containers
}

/// The place after a string that starts at `start`.
fn string_end(bytes: &[u8], start: usize) -> usize {
    let mut place = start + 1;
    while bytes[place] != b'"' {
        place += if bytes[place] == b'\\' { 2 } else { 1 };
    }
    place + 1
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    for _ in 0..depth {
        out.push_str(INDENT);
    }
}

/// Appends a container on one line.
fn push_inline(out: &mut String, compact: &str) {
    let bytes = compact.as_bytes();
    let mut place = 0;
    while place < bytes.len() {
        match bytes[place] {
            b'"' => {
                let end = string_end(bytes, place);
                push_escaped(out, &compact[place..end]);
                place = end;
                continue;
            }
            separator @ (b',' | b':') => {
                out.push(char::from(separator));
                out.push(' ');
            }
            other => out.push(char::from(other)),
        }
        place += 1;
    }
}

/// Appends a string with escapes for the characters that do not show.
fn push_escaped(out: &mut String, string: &str) {
    if string.is_ascii() && !string.contains('\u{7f}') {
        out.push_str(string);
        return;
    }
    for character in string.chars() {
        if is_hidden(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(character);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::laid_out;

    fn nested(value: &str) -> String {
        format!(r#"{{"flows":[{{"changes":[{{"definition":{{"steps":[{value}]}}}}]}}]}}"#)
    }

    fn lines(value: &str) -> Vec<String> {
        let text = laid_out(&nested(value));
        let lines: Vec<&str> = text.lines().collect();
        lines[7..lines.len() - 7].iter().map(|line| line.trim_start().to_owned()).collect()
    }

    #[test]
    fn short_steps_have_one_line_each() {
        assert_eq!(
            lines(r#"{"slug":"a","depends_on":[]},{"slug":"b,:","depends_on":["a"]}"#),
            [r#"{"slug": "a", "depends_on": []},"#, r#"{"slug": "b,:", "depends_on": ["a"]}"#]
        );
    }

    #[test]
    fn long_step_has_one_line_per_key() {
        let sql = "x".repeat(120);
        assert_eq!(
            lines(&format!(r#"{{"slug":"a","handler":{{"sql":"{sql}"}},"depends_on":["b","c"]}}"#)),
            [
                "{".to_owned(),
                r#""slug": "a","#.to_owned(),
                r#""handler": {"#.to_owned(),
                format!(r#""sql": "{sql}""#),
                "},".to_owned(),
                r#""depends_on": ["b", "c"]"#.to_owned(),
                "}".to_owned()
            ]
        );
    }

    #[test]
    fn hidden_characters_are_escaped() {
        assert_eq!(lines("\"a\u{202e}\\\"é\u{85}\u{e0041}漢\""), [r#""a\u202e\"é\u0085\udb40\udc41漢""#]);
    }
}
