//! The size of a schema in which each reference is replaced with its target.

use std::collections::HashMap;
use std::ptr;

use serde_json::Value;

use super::references::{Anchors, below};
use super::{MAX_DEPTH, MAX_EXPANDED, MAX_EXPANDED_UNEVALUATED, MAX_PATTERN_BYTES, MAX_PATTERNS, SchemaError};

/// The counted size of a schema.
pub(super) struct Expansion<'s> {
    anchors: Anchors<'s>,
    /// The size and depth of each subschema by its address; `None` while it is counted.
    counted: HashMap<*const Value, Option<Size>>,
    size: u64,
    patterns: usize,
    /// The approximate number of states of the compiled expressions.
    states: u64,
    has_unevaluated: bool,
}

#[derive(Debug, Clone, Copy)]
struct Size {
    schemas: u64,
    depth: usize,
}

impl<'s> Expansion<'s> {
    pub(super) fn of(schema: &'s Value) -> Result<Self, SchemaError> {
        let mut expansion = Self {
            anchors: Anchors::of(schema),
            counted: HashMap::new(),
            size: 0,
            patterns: 0,
            states: 0,
            has_unevaluated: false,
        };
        expansion.size = expansion.count(schema, 0, &mut String::new())?.schemas;
        let limit = if expansion.has_unevaluated { MAX_EXPANDED_UNEVALUATED } else { MAX_EXPANDED };
        if expansion.size > limit {
            let because =
                if expansion.has_unevaluated { ", the limit of schemas with `unevaluated…` keywords" } else { "" };
            return Err(too_expensive("", format!("its references expand to more than {limit} subschemas{because}")));
        }
        Ok(expansion)
    }

    /// The work of compiling, in thousands of steps.
    pub(super) fn work(&self) -> u64 {
        self.size / 1000 + self.patterns as u64 + self.states / 1000
    }

    fn count(&mut self, schema: &'s Value, depth: usize, pointer: &mut String) -> Result<Size, SchemaError> {
        match self.counted.get(&ptr::from_ref(schema)) {
            Some(Some(size)) if depth + size.depth <= MAX_DEPTH => return Ok(*size),
            // A recursive reference is not expanded.
            Some(None) => return Ok(Size { schemas: 1, depth: 1 }),
            None if depth < MAX_DEPTH => {}
            _ => return Err(too_expensive(pointer, format!("it is nested more than {MAX_DEPTH} levels deep"))),
        }
        self.counted.insert(ptr::from_ref(schema), None);
        let mut size = Size { schemas: 1, depth: 1 };
        if let Value::Object(keywords) = schema {
            self.check_keywords(keywords, pointer)?;
            let parent = pointer.len();
            let mut add = |own: &mut Self, schema, pointer: &mut String| {
                let part = own.count(schema, depth + 1, pointer)?;
                pointer.truncate(parent);
                size.schemas = size.schemas.saturating_add(part.schemas);
                size.depth = size.depth.max(part.depth + 1);
                Ok(())
            };
            for part in below(keywords) {
                pointer.push_str(&format!("/{}", part.keyword));
                if let Some(name) = &part.name {
                    pointer.push_str(&format!("/{}", name.replace('~', "~0").replace('/', "~1")));
                }
                add(self, part.schema, pointer)?;
            }
            let targets = self.anchors.targets(keywords);
            let unresolved = |keyword| SchemaError::Reference { pointer: format!("{pointer}/{keyword}") };
            for (keyword, target) in targets.map_err(unresolved)? {
                pointer.push_str(&format!("/{keyword}"));
                add(self, target, pointer)?;
            }
        }
        self.counted.insert(ptr::from_ref(schema), Some(size));
        Ok(size)
    }

    fn check_keywords(&mut self, keywords: &serde_json::Map<String, Value>, pointer: &str) -> Result<(), SchemaError> {
        self.has_unevaluated |= keywords.keys().any(|keyword| keyword.starts_with("unevaluated"));
        // References below would be relative to it.
        if !pointer.is_empty() && keywords.get("$id").is_some_and(Value::is_string) {
            return Err(SchemaError::Reference { pointer: format!("{pointer}/$id") });
        }
        let own = keywords.get("pattern").and_then(Value::as_str);
        let names = keywords.get("patternProperties").and_then(Value::as_object);
        for pattern in own.into_iter().chain(names.into_iter().flat_map(|names| names.keys().map(String::as_str))) {
            self.patterns += 1;
            self.states = self.states.saturating_add(states(pattern));
            if pattern.len() > MAX_PATTERN_BYTES {
                let limit = format!("a regular expression is longer than {MAX_PATTERN_BYTES} bytes");
                return Err(too_expensive(pointer, limit));
            }
            if self.patterns > MAX_PATTERNS {
                return Err(too_expensive(pointer, format!("it has more than {MAX_PATTERNS} regular expressions")));
            }
        }
        Ok(())
    }
}

/// The approximate number of states of a compiled expression: a repetition such as `{1,100}` repeats those of its operand, and a
/// repetition of a group those of the repetitions in it.
fn states(pattern: &str) -> u64 {
    let bounds = pattern.split('{').skip(1).filter_map(|rest| {
        let bound = rest.split('}').next()?;
        bound.rsplit(',').find_map(|number| number.trim().parse::<u64>().ok())
    });
    let repeated = if pattern.contains("){") {
        bounds.fold(1, |product: u64, bound| product.saturating_mul(bound.max(1)))
    } else {
        bounds.max().unwrap_or(1)
    };
    repeated.saturating_mul(pattern.len() as u64).min(MAX_STATES)
}

/// More states than the limit of the size of a compiled expression allows.
const MAX_STATES: u64 = 200_000;

fn too_expensive(pointer: &str, limit: String) -> SchemaError {
    SchemaError::TooExpensive { pointer: pointer.to_owned(), limit }
}
