//! The number of subschemas that validation applies to the values of an input.

use std::collections::HashMap;
use std::ptr;

use serde_json::{Map, Value};

use super::references::{Anchors, Applied, below};
use super::{BACKTRACK_LIMIT, MAX_VISITS, TooManyVisits};

/// The maximum depth of the calls of a validation.
const MAX_CALLS: usize = 1_000;

/// The maximum number of pairs that are counted.
const MAX_PAIRS: usize = 1_000_000;

pub(super) struct Visits<'s> {
    anchors: Anchors<'s>,
    /// The visits for each pair of a subschema and a value, by their addresses; `None` while they are counted.
    counted: HashMap<(*const Value, *const Value), Option<u64>>,
}

impl<'s> Visits<'s> {
    pub(super) fn count(schema: &'s Value, input: &Value) -> Result<u64, TooManyVisits> {
        let mut visits = Self { anchors: Anchors::of(schema), counted: HashMap::new() };
        let count = visits.of(schema, input, 0)?;
        if count > MAX_VISITS { Err(TooManyVisits) } else { Ok(count) }
    }

    fn of(&mut self, schema: &'s Value, value: &Value, depth: usize) -> Result<u64, TooManyVisits> {
        let Value::Object(keywords) = schema else { return Ok(1) };
        let pair = (ptr::from_ref(schema), ptr::from_ref(value));
        match self.counted.get(&pair) {
            Some(Some(visits)) => return Ok(*visits),
            // A reference to itself for the same value is not followed.
            Some(None) => return Ok(1),
            None if depth >= MAX_CALLS || self.counted.len() >= MAX_PAIRS => return Err(TooManyVisits),
            None => self.counted.insert(pair, None),
        };
        let mut visits = own(keywords, value);
        let mut add = |more: u64| visits = visits.saturating_add(more);
        for part in below(keywords) {
            match (part.applied, value) {
                (Applied::Never, _) => {}
                (Applied::Itself, value) => add(self.of(part.schema, value, depth + 1)?),
                (Applied::Property, Value::Object(entries)) => {
                    if let Some(value) = part.name.and_then(|name| entries.get(&name)) {
                        add(self.of(part.schema, value, depth + 1)?);
                    }
                }
                (Applied::Children, Value::Object(entries)) => {
                    for value in entries.values() {
                        add(self.of(part.schema, value, depth + 1)?);
                    }
                }
                (Applied::Children, Value::Array(items)) => {
                    for value in items {
                        add(self.of(part.schema, value, depth + 1)?);
                    }
                }
                (Applied::Property | Applied::Children, _) => {}
            }
        }
        for (_, target) in self.anchors.targets(keywords).unwrap_or_default() {
            add(self.of(target, value, depth + 1)?);
        }
        self.counted.insert(pair, Some(visits));
        Ok(visits)
    }
}

/// The work for the keywords without subschemas.
fn own(keywords: &Map<String, Value>, value: &Value) -> u64 {
    let listed = |keyword: &str| keywords.get(keyword).and_then(Value::as_array).map_or(0, Vec::len);
    let children = match value {
        Value::Object(entries) => entries.len(),
        Value::Array(items) => items.len(),
        _ => 0,
    };
    let matched = match (keywords.get("pattern"), value) {
        (Some(Value::String(pattern)), Value::String(text)) => matching(pattern, text),
        _ => 0,
    };
    let names = match (keywords.get("patternProperties"), value) {
        (Some(Value::Object(patterns)), Value::Object(entries)) => {
            let of_name = |name: &String| patterns.keys().map(|pattern| matching(pattern, name)).sum::<u64>();
            entries.keys().map(of_name).sum()
        }
        _ => 0,
    };
    (1 + listed("enum") + listed("required") + children) as u64 + matched + names
}

/// The work of a match: proportional to the text, unless the expression backtracks.
fn matching(pattern: &str, text: &str) -> u64 {
    let backtracks = pattern.contains("(?") || pattern.contains('\\') && pattern.contains('(');
    let steps = if backtracks { text.len().saturating_mul(text.len()).min(BACKTRACK_LIMIT) } else { 0 };
    (1 + steps + text.len().saturating_mul(pattern.len()) / 256) as u64
}
