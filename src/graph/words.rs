//! Formatting of values in diagrams.

use std::borrow::Cow;

use serde_json::Value;

use flowsmith_postgres::runs::StepStatus;

/// A duration in the notation of flow files, in the largest unit that gives a whole number: `90s`, `5m`, `3d`.
pub(super) fn duration(seconds: i32) -> String {
    let units = [(24 * 60 * 60, 'd'), (60 * 60, 'h'), (60, 'm')];
    match units.into_iter().find(|(unit, _)| seconds != 0 && seconds % unit == 0) {
        Some((unit, name)) => format!("{}{name}", seconds / unit),
        None => format!("{seconds}s"),
    }
}

/// An elapsed time in at most two units, such as `2 h 1 min`.
pub(super) fn elapsed(seconds: f64) -> String {
    if seconds < 0.9995 {
        return format!("{:.0} ms", (seconds * 1000.0).max(0.0));
    }
    if seconds < 9.95 {
        return format!("{seconds:.1} s");
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive, and saturates")]
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        3_600..86_400 => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

/// The CSS class of a step. Steps that were never run look like created ones.
pub(super) fn status_class(status: StepStatus) -> &'static str {
    match status {
        StepStatus::NotRun => StepStatus::Created.as_str(),
        StepStatus::CutOff => "cut",
        status => status.as_str(),
    }
}

/// `1 attempt`, `3 attempts`.
pub(super) fn attempts(count: i32) -> String {
    // 0 and 1 both mean one attempt.
    if count <= 1 { "1 attempt".to_owned() } else { format!("{count} attempts") }
}

/// A condition in short form, such as `plan: "premium", load.flagged: true`. Nested objects are written as paths, all other
/// values as JSON.
pub(super) fn pattern(pattern: &Value) -> String {
    let mut parts = Vec::new();
    let mut open = vec![(String::new(), pattern)];
    while let Some((path, value)) = open.pop() {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                // `open` is a stack.
                for (key, field) in fields.iter().rev() {
                    let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    open.push((path, field));
                }
            }
            Value::Object(_) if path.is_empty() => parts.push("any object".to_owned()),
            value => parts.push(format!("{path}: {value}")),
        }
    }
    parts.join(", ")
}

/// Truncates a text to a number of characters and marks the truncation with `…`.
pub(super) fn cut(text: &str, letters: usize) -> Cow<'_, str> {
    match text.char_indices().nth(letters) {
        Some((place, _)) => Cow::Owned(format!("{}…", &text[..place])),
        None => Cow::Borrowed(text),
    }
}

/// Truncates a text and joins its lines, for formats that lay out labels themselves.
pub(super) fn label(text: &str) -> String {
    /// The length that Graphviz and Mermaid still draw as a box of reasonable width.
    const LETTERS: usize = 100;
    cut(&text.split_whitespace().collect::<Vec<_>>().join(" "), LETTERS).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn duration_uses_the_largest_whole_unit() {
        assert_eq!([0, 5, 60, 90, 7200, 259_200].map(duration), ["0s", "5s", "1m", "90s", "2h", "3d"]);
    }

    #[test]
    fn elapsed_time_has_at_most_two_units() {
        let written = [-1.0, 0.0421, 1.25, 59.4, 61.0, 7_260.0, 200_000.0].map(elapsed);
        assert_eq!(written, ["0 ms", "42 ms", "1.2 s", "59 s", "1 min 1 s", "2 h 1 min", "2 d 7 h"]);
    }

    #[test]
    fn labels_are_short_and_on_one_line() {
        assert_eq!(label("one\n  two"), "one two");
        assert_eq!(label(&"ä".repeat(200)), format!("{}…", "ä".repeat(100)));
        assert_eq!(cut("short", 5), "short");
    }

    #[test]
    fn patterns_are_written_as_paths() {
        assert_eq!(pattern(&json!({ "plan": "premium" })), "plan: \"premium\"");
        assert_eq!(pattern(&json!({ "load": { "a": 1, "b": [2] }, "x": {} })), "load.a: 1, load.b: [2], x: {}");
        assert_eq!(pattern(&json!({})), "any object");
    }
}
