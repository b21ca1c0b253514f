//! Verification: a migration is the file that its plan renders.

use super::replay::{ReplayError, check_outcomes, plan};
use super::{Migration, render::render};
use crate::sql::quote::is_hidden;

/// Renders the plan of a migration again, and refuses a file with any other byte, or of another name.
///
/// # Errors
/// If the plan cannot be read or contradicts itself, or the file is not what it renders.
pub fn verify(migration: &Migration) -> Result<(), ReplayError> {
    let plan = plan(migration)?;
    check_outcomes(migration, &plan)?;
    let malformed = |reason: String| ReplayError::Malformed { migration: migration.id(), reason };
    let required = plan.required_level();
    if plan.engine != required {
        return Err(malformed(format!("it requires engine level {}, and its flows {required}", plan.engine)));
    }
    let is_digest = |text: &Option<String>| text.as_ref().is_none_or(|text| is_digest(text));
    if !plan.flows.iter().all(|flow| is_digest(&flow.base) && is_digest(&flow.result)) {
        return Err(malformed("a base or a result is not a SHA-256".to_owned()));
    }
    let rendered = render(&plan).map_err(malformed)?;
    if let Some(difference) = difference(migration, &rendered) {
        return Err(difference);
    }
    if rendered.id() != migration.id() {
        return Err(ReplayError::OtherName { file: migration.file_name(), id: rendered.id() });
    }
    Ok(())
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The first line in which a file differs from the one that its plan renders.
fn difference(migration: &Migration, rendered: &Migration) -> Option<ReplayError> {
    if migration.content == rendered.content {
        return None;
    }
    let (mut found, mut expected) = (migration.content.split('\n'), rendered.content.split('\n'));
    for line in 1.. {
        let (found, expected) = (found.next(), expected.next());
        if found != expected {
            let start = common_start(found.unwrap_or_default(), expected.unwrap_or_default());
            let (found, expected) = (excerpt(found, start), excerpt(expected, start));
            return Some(ReplayError::Edited { file: migration.file_name(), line, found, expected });
        }
    }
    None
}

/// The number of characters with which two lines start alike.
fn common_start(a: &str, b: &str) -> usize {
    a.chars().zip(b.chars()).take_while(|(a, b)| a == b).count()
}

/// A part of a line with the place where it differs, in quotes, with escapes for characters that do not show.
fn excerpt(line: Option<&str>, place: usize) -> String {
    const BEFORE: usize = 20;
    const LENGTH: usize = 60;
    let Some(line) = line else { return "no such line".to_owned() };
    let start = if line.chars().count() <= LENGTH { 0 } else { place.saturating_sub(BEFORE) };
    let mut shown = String::from(if start > 0 { "`..." } else { "`" });
    for character in line.chars().skip(start).take(LENGTH) {
        if is_hidden(character) { shown.extend(character.escape_default()) } else { shown.push(character) }
    }
    shown.push_str(if line.chars().count() > start + LENGTH { "...`" } else { "`" });
    shown
}
