//! The tree that both syntaxes are parsed into: values with their spans.

use serde_json::{Map, Number};

use crate::finding::{FieldPath, Segment, Span};

/// A key of a mapping.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// The location of the key.
    pub span: Span,
    /// The key as a string, without quotes and escapes.
    pub name: String,
}

/// A value with its location.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The location of the value.
    pub span: Span,
    /// The value.
    pub value: Value,
}

/// The values that both syntaxes can express.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// YAML only: a key without a value, `null` or `~`.
    Null,
    /// A value that already has a finding. Later checks skip it.
    Refused,
    /// `true` or `false`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// Any other number; never infinite or NaN.
    Float(f64),
    /// A string.
    String(String),
    /// A YAML sequence or a TOML array.
    List(Vec<Node>),
    /// A YAML mapping or a TOML table. Keys are unique and in the order of the file.
    Map(Vec<(Key, Node)>),
}

impl Node {
    /// The value of a key; `None` if the key is missing or the node is not a mapping.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.entry(name).map(|(_, node)| node)
    }

    /// The entries of a mapping; empty for any other value.
    pub fn entries(&self) -> &[(Key, Node)] {
        if let Value::Map(entries) = &self.value { entries } else { &[] }
    }

    /// The elements of a list; empty for any other value.
    pub fn items(&self) -> &[Node] {
        if let Value::List(items) = &self.value { items } else { &[] }
    }

    /// The string; `None` for any other value.
    pub fn as_str(&self) -> Option<&str> {
        if let Value::String(text) = &self.value { Some(text) } else { None }
    }

    fn entry(&self, name: &str) -> Option<&(Key, Node)> {
        self.entries().iter().find(|(key, _)| key.name == name)
    }

    /// The location of a field: that of its value, or that of its key if the path asks for the key or the value is empty. For
    /// a field that does not exist, the location of its nearest existing ancestor.
    pub fn locate(&self, path: &FieldPath) -> Span {
        let mut node = self;
        // The document itself has no key.
        let mut name = None;
        let mut reached = true;
        for segment in path.segments() {
            let next = match segment {
                Segment::Key(name) => node.entry(name).map(|(key, node)| (Some(key.span), node)),
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

    /// The value as JSON, without spans.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null | Value::Refused => serde_json::Value::Null,
            Value::Bool(value) => serde_json::Value::Bool(*value),
            Value::Int(value) => serde_json::Value::from(*value),
            // Always finite: the parsers reject other numbers.
            Value::Float(value) => Number::from_f64(*value).map_or(serde_json::Value::Null, serde_json::Value::Number),
            Value::String(text) => serde_json::Value::String(text.clone()),
            Value::List(items) => serde_json::Value::Array(items.iter().map(Self::to_json).collect()),
            Value::Map(entries) => serde_json::Value::Object(
                entries.iter().map(|(key, node)| (key.name.clone(), node.to_json())).collect::<Map<_, _>>(),
            ),
        }
    }
}
