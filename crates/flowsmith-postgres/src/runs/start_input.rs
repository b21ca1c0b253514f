//! The input of a run.

use serde_json::Value;
use serde_json::value::RawValue;

use super::{DeclaredInput, FlowVersion, RunsError};

/// The maximum nesting depth, which serde_json imposes on this program and on workers.
const MAX_DEPTH: usize = 127;

/// The input of a run: JSON text, passed on unchanged.
#[derive(Debug, Clone)]
pub struct StartInput {
    pub(super) text: String,
    value: Value,
}

impl StartInput {
    /// Parses an input. `place` names its origin in messages.
    ///
    /// # Errors
    /// [`RunsError::Input`] if it is not JSON, [`RunsError::InputUnfit`] if PostgreSQL cannot store it (`\u0000`) or workers
    /// cannot read it.
    pub fn parse(bytes: &[u8], place: &str) -> Result<Self, RunsError> {
        let refused = |what: String| RunsError::Input { place: place.to_owned(), what };
        let text = std::str::from_utf8(bytes)
            .map_err(|error| refused(format!("is not UTF-8, from byte {} on", error.valid_up_to())))?;
        // Some editors write a byte order mark at the beginning of files.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(refused("is empty".to_owned()));
        }
        // This checks the syntax only; valid JSON can still be unfit.
        serde_json::from_str::<&RawValue>(text)
            .map_err(|error| refused(format!("is not JSON: {}", syntax_error(text, &error))))?;
        let unfit = |what: String| RunsError::InputUnfit { place: place.to_owned(), what };
        let value = serde_json::from_str(text).map_err(|error| unfit(unfit_reason(text, &error)))?;
        match null_character(text) {
            None => Ok(Self { text: text.to_owned(), value }),
            Some(at) => {
                let (line, column) = line_and_column(text, at);
                Err(unfit(format!(
                    "contains the character \\u0000, which PostgreSQL cannot store (line {line}, column {column})"
                )))
            }
        }
    }

    /// Whether it is an array.
    pub(super) fn is_array(&self) -> bool {
        self.value.is_array()
    }

    /// Validates it against the schema that the flow file declares, as it was applied.
    ///
    /// # Errors
    /// [`RunsError::InputRefused`] with the violations.
    pub fn check(&self, flow: &FlowVersion) -> Result<(), RunsError> {
        let Some(schema) = &flow.input else { return Ok(()) };
        DeclaredInput { flow: flow.id(), schema: schema.clone() }.compile().validate(&self.value)
    }
}

/// A syntax error with its position.
fn syntax_error(text: &str, error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    if text.as_bytes().get(offset(text, line, column)) == Some(&b'\'') {
        return format!("strings must be in double quotes (line {line}, column {column})");
    }
    // serde_json appends the position in words of its own.
    let message = error.to_string();
    let message = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
    format!("{message} (line {line}, column {column})")
}

/// The reason why serde_json rejects a text with valid syntax, which follows from the character that it read last.
fn unfit_reason(text: &str, error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    let at = offset(text, line, column);
    let (before, last) = text.as_bytes().split_at(at.min(text.len()));
    let reason = match last.first() {
        _ if ends_in_string(before) => "contains an unpaired surrogate".to_owned(),
        Some(b'[' | b'{') => format!("is nested deeper than {MAX_DEPTH} levels"),
        _ => "contains a number that is too large".to_owned(),
    };
    format!("{reason} (line {line}, column {column})")
}

/// The byte offset of a position of serde_json: both numbers count from 1, the column in bytes.
fn offset(text: &str, line: usize, column: usize) -> usize {
    let line_start: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    line_start + column.saturating_sub(1)
}

/// Whether the end of a JSON text is within a string.
fn ends_in_string(json: &[u8]) -> bool {
    let (mut in_string, mut is_escaped) = (false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_string,
            b'"' => in_string = !in_string,
            _ => {}
        }
    }
    in_string
}

/// The offset of an escaped null character. In JSON, backslashes occur in strings only.
fn null_character(text: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find('\\') {
        at += found;
        if text[at..].starts_with("\\u0000") {
            return Some(at);
        }
        // Skip the escaped character, which may be a backslash. JSON allows escapes of ASCII characters only.
        at += 2;
    }
    None
}

/// The line and column of an offset. Both count from 1, the column in bytes, like those of serde_json.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, at - line_start + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        StartInput::parse(text.as_bytes(), "--input").expect_err(text).to_string()
    }

    #[test]
    fn unfit_inputs_have_a_reason_and_a_position() {
        let nested = format!("{}{}", "[".repeat(128), "]".repeat(128));
        assert_eq!(error(&nested), "--input is nested deeper than 127 levels (line 1, column 128)");
        assert_eq!(error("{\n \"x\": 1e999}"), "--input contains a number that is too large (line 2, column 11)");
        for text in [r#"["\ud800"]"#, r#"["\ud800[ü"]"#, r#"["\"\udc00"]"#, r#"["\ud800\u0041"]"#] {
            assert!(error(text).starts_with("--input contains an unpaired surrogate (line 1, column "), "{text}");
        }
        assert_eq!(
            error(r#"["\\\u0000"]"#),
            "--input contains the character \\u0000, which PostgreSQL cannot store (line 1, column 5)"
        );
    }

    #[test]
    fn syntax_errors_have_a_position() {
        assert_eq!(error("{'id': 7}"), "--input is not JSON: strings must be in double quotes (line 1, column 2)");
        assert_eq!(error("{id: 7}"), "--input is not JSON: key must be a string (line 1, column 2)");
    }
}
