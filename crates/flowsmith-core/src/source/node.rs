//! The one tree that both syntaxes are read into: values with the places they were written at.

use serde_json::{Map, Number};

use crate::finding::{FieldPath, Segment, Span};

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Where it stands.
    pub span: Span,
    /// Its text.
    pub name: String,
}

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// What both syntaxes can say.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// YAML only: a key without a value, `null` or `~`.
    Null,
    /// Something that has a finding already: no more is said about it.
    Refused,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number; never infinite, never NaN.
    Float(f64),
    /// Text.
    String(String),
    /// A sequence.
    List(Vec<Node>),
    /// Keys in the order of the file, each once.
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// The value under a key of a mapping.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entry(name).map(|(_, node)| node)
    }

    /// The entries of a mapping; none for anything else.
    pub fn entries(&self) -> &[(Key, Node)] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// The elements of a list; none for anything else.
    pub fn items(&self) -> &[Node] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = &self.value { Some(text) } else { None }
    }

    fn entry(&self, name: &str) -> Option<&(Key, Node)> {
        self.entries().iter().find(|(key, _)| key.name == name)
    }

    /// Where a field stands: the place of its value, or of its key where that is asked for or where there is no text
    /// for the value. A field that is not there has the place of the nearest one above it that is.
    pub fn locate(&self, path: &FieldPath) -> Span {
        let mut node = self;
        // The document itself has no key: a finding about all of it points at its first line.
        let mut name = None;
        let mut reached = true;
        for segment in path.segments() {
            let next = match segment {
                Segment::Key(wanted) => node.entry(wanted).map(|(key, node)| (Some(key.span), node)),
                Segment::Index(index) => node.items().get(*index).map(|node| (None, node)),
            };
            let Some((key, below)) = next else {
                reached = false;
                break;
            };
            (name, node) = (key, below);
        }
        match name {
            Some(key) if path.is_on_key() || !reached || node.span.is_empty() => key,
            _ => node.span,
        }
    }

    /// The same as JSON, without places.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null | Value::Refused => serde_json::Value::Null,
            Value::Bool(value) => serde_json::Value::Bool(*value),
            Value::Int(value) => serde_json::Value::from(*value),
            // Always finite: the parsers refuse the others.
            Value::Float(value) => Number::from_f64(*value).map_or(serde_json::Value::Null, serde_json::Value::Number),
            Value::String(text) => serde_json::Value::String(text.clone()),
            Value::List(items) => serde_json::Value::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => serde_json::Value::Object(
                entries.iter().map(|(key, node)| (key.name.clone(), node.to_json())).collect::<Map<_, _>>(),
            ),
        }
    }
}
