//! The keywords of a schema that hold other schemas, and its references.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// How the schemas of a keyword are applied to a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applied {
    /// To the value itself.
    Itself,
    /// To the property of the same name.
    Property,
    /// To each property or element.
    Children,
    /// Not at all, unless a reference names it.
    Never,
}

const KEYWORDS: [(&str, Applied); 22] = [
    ("allOf", Applied::Itself),
    ("anyOf", Applied::Itself),
    ("oneOf", Applied::Itself),
    ("not", Applied::Itself),
    ("if", Applied::Itself),
    ("then", Applied::Itself),
    ("else", Applied::Itself),
    ("dependentSchemas", Applied::Itself),
    ("dependencies", Applied::Itself),
    ("properties", Applied::Property),
    ("patternProperties", Applied::Children),
    ("additionalProperties", Applied::Children),
    ("unevaluatedProperties", Applied::Children),
    ("propertyNames", Applied::Children),
    ("items", Applied::Children),
    ("prefixItems", Applied::Children),
    ("additionalItems", Applied::Children),
    ("unevaluatedItems", Applied::Children),
    ("contains", Applied::Children),
    ("contentSchema", Applied::Never),
    ("$defs", Applied::Never),
    ("definitions", Applied::Never),
];

/// The keywords whose value maps names to schemas.
const MAPS: [&str; 6] = ["properties", "patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"];

/// A schema below a keyword.
pub(super) struct Below<'s> {
    pub(super) keyword: &'static str,
    /// The name or index below the keyword.
    pub(super) name: Option<String>,
    pub(super) applied: Applied,
    pub(super) schema: &'s Value,
}

/// The schemas below the keywords of a schema, except the targets of its references.
pub(super) fn below(schema: &Map<String, Value>) -> impl Iterator<Item = Below<'_>> {
    schema.iter().flat_map(|(key, value)| {
        let mut schemas = Vec::new();
        if let Some((keyword, applied)) = KEYWORDS.iter().find(|(keyword, _)| keyword == key) {
            let mut add = |name, schema| schemas.push(Below { keyword, name, applied: *applied, schema });
            match value {
                Value::Object(map) if MAPS.contains(keyword) => {
                    map.iter().for_each(|(name, schema)| add(Some(name.clone()), schema));
                }
                Value::Array(items) => {
                    items.iter().enumerate().for_each(|(index, schema)| add(Some(index.to_string()), schema));
                }
                schema => add(None, schema),
            }
        }
        schemas
    })
}

/// The anchors of a document by name.
pub(super) struct Anchors<'s> {
    root: &'s Value,
    named: HashMap<&'s str, Vec<&'s Value>>,
}

impl<'s> Anchors<'s> {
    pub(super) fn of(root: &'s Value) -> Self {
        let mut anchors = Self { root, named: HashMap::new() };
        anchors.collect(root);
        anchors
    }

    /// Any object may be the target of a reference, so that all are searched. The parser limits their depth.
    fn collect(&mut self, value: &'s Value) {
        match value {
            Value::Object(entries) => {
                for keyword in ["$anchor", "$dynamicAnchor"] {
                    if let Some(Value::String(name)) = entries.get(keyword) {
                        self.named.entry(name).or_default().push(value);
                    }
                }
                entries.values().for_each(|value| self.collect(value));
            }
            Value::Array(items) => items.iter().for_each(|value| self.collect(value)),
            _ => {}
        }
    }

    /// The keyword and the possible targets of each reference of a schema: several only for `$dynamicRef`. `Err` is the keyword of a
    /// reference that is not one within the document.
    pub(super) fn targets(&self, schema: &Map<String, Value>) -> Result<Vec<(&'static str, &'s Value)>, &'static str> {
        let mut targets = Vec::new();
        for keyword in ["$ref", "$dynamicRef"] {
            let Some(Value::String(reference)) = schema.get(keyword) else { continue };
            let fragment = reference.strip_prefix('#').ok_or(keyword)?;
            if fragment.is_empty() || fragment.starts_with('/') {
                targets.push((keyword, self.root.pointer(&decoded(fragment)).ok_or(keyword)?));
            } else {
                let found = self.named.get(fragment).ok_or(keyword)?;
                targets.extend(found.iter().map(|target| (keyword, *target)));
            }
        }
        Ok(targets)
    }
}

/// A fragment without its percent-encoding.
fn decoded(fragment: &str) -> String {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = (*first == b'%').then(|| after.get(..2)).flatten();
        let byte = hex.and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
