//! Output of programs and servers: JSON, and excerpts of it for errors.

use serde::de::IgnoredAny;

use flowsmith_core::redact::Redactor;

/// Bytes of an output that an excerpt is made from, and characters of the excerpt.
const EXCERPT_BYTES: usize = 2000;
const EXCERPT_CHARACTERS: usize = 500;

/// Checks that an output is JSON. An empty output is null.
pub(super) fn parse(bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?.trim();
    if text.is_empty() {
        return Ok("null".to_owned());
    }
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// The beginning of an output, for an error. It is redacted before it is cut, so that no part of a secret remains.
pub(super) fn excerpt(bytes: &[u8], secrets: &Redactor) -> String {
    let (text, end) = secrets.redact_start(bytes, EXCERPT_BYTES);
    let text = text.trim();
    let short: String = text.chars().take(EXCERPT_CHARACTERS).collect();
    if end < bytes.len() || short.len() < text.len() { format!("{short} …") } else { short }
}
