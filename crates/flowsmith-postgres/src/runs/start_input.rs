//! The input of a run, as it is given: what can be kept of it, and what is wrong with it where nothing can.

use serde_json::Value;
use serde_json::value::RawValue;

use super::{DeclaredInput, FlowVersion, OperateError};

/// How deep serde_json reads, on our side as on that of our workers.
const MAX_DEPTH: &str = "127";

/// The input of a run: a JSON text, kept as it was written.
#[derive(Debug, Clone)]
pub struct StartInput {
    pub(super) text: String,
    value: Value,
}

impl StartInput {
    /// Reads it. `place`: where it comes from, for messages.
    ///
    /// # Errors
    /// Where it is not JSON, or cannot be kept: PostgreSQL has no `\u0000`, and no handler is given what it could not read.
    pub fn parse(bytes: &[u8], place: &str) -> Result<Self, OperateError> {
        let refused = |what: String| OperateError::Input { place: place.to_owned(), what };
        let text = std::str::from_utf8(bytes)
            .map_err(|error| refused(format!("is not UTF-8, from byte {} on", error.valid_up_to())))?;
        // A mark that some editors begin files with.
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        if text.trim().is_empty() {
            return Err(refused("is empty".to_owned()));
        }
        // As far as the grammar goes; what it allows can still not be kept.
        serde_json::from_str::<&RawValue>(text)
            .map_err(|error| refused(format!("is not JSON: {} ({})", words(&error), place_of(&error))))?;
        let unfit = |what: String| OperateError::InputUnfit { place: place.to_owned(), what };
        let value = serde_json::from_str(text)
            .map_err(|error| unfit(format!("{} ({})", why_unfit(&error), place_of(&error))))?;
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

    /// Holds it against the schema that the flow's file declares, as it was applied.
    ///
    /// # Errors
    /// Where the schema refuses it.
    pub fn check(&self, flow: &FlowVersion) -> Result<(), OperateError> {
        let Some(schema) = &flow.input else { return Ok(()) };
        DeclaredInput { flow: flow.id(), schema: schema.clone() }.check().hold(&self.value)
    }
}

/// What is wrong, without the place.
fn words(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.rsplit_once(" at line ").map_or(text.as_str(), |(what, _)| what);
    match text {
        "key must be a string" => "a key must be in double quotes".to_owned(),
        other => other.to_owned(),
    }
}

fn place_of(error: &serde_json::Error) -> String {
    format!("line {}, column {}", error.line(), error.column())
}

/// What a text that is JSON by the grammar cannot be read for.
fn why_unfit(error: &serde_json::Error) -> String {
    match words(error) {
        what if what.starts_with("recursion limit") => format!("is nested deeper than {MAX_DEPTH} levels"),
        what if what.starts_with("number out of range") => "contains a number that is too large".to_owned(),
        what if what.contains("hex escape") || what.contains("surrogate") => {
            "contains an unpaired surrogate".to_owned()
        }
        what => format!("cannot be read: {what}"),
    }
}

/// Where the escape of the null character stands; in JSON, backslashes are in strings only.
fn null_character(text: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(found) = text[at..].find('\\') {
        at += found;
        if text[at..].starts_with("\\u0000") {
            return Some(at);
        }
        // What is escaped may be a backslash itself; JSON allows no escape of anything beyond ASCII.
        at += 2;
    }
    None
}

/// Both from 1, the column in bytes, as serde_json counts.
fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, at - line_start + 1)
}
