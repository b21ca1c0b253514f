//! The canonical definition of a flow, in which equal flows have equal JSON texts, and its SHA-256.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256};

use super::{Annotations, Flow, FlowId, FlowOptions, Step, Trigger};

/// The definition of a flow in migrations and in the ledger. Missing keys have their defaults. It does not include the state,
/// because a draining version keeps its definition.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Definition {
    flow: String,
    version: u32,
    #[serde(default, skip_serializing_if = "is_default_options")]
    options: FlowOptions,
    steps: Vec<Step>,
    #[serde(default, skip_serializing_if = "is_default_annotations")]
    annotations: Annotations,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    triggers: Vec<Trigger>,
}

fn is_default_options(options: &FlowOptions) -> bool {
    *options == FlowOptions::DEFAULT
}

fn is_default_annotations(annotations: &Annotations) -> bool {
    *annotations == Annotations::default()
}

impl Flow {
    /// The canonical JSON text, on one line. Equal flows have equal texts.
    pub fn to_canonical(&self) -> String {
        /// A borrowed [`Definition`] with the same keys in the same order, which avoids copying ten thousand flows.
        #[derive(Serialize)]
        struct Borrowed<'a> {
            flow: &'a str,
            version: u32,
            #[serde(skip_serializing_if = "is_default_options")]
            options: FlowOptions,
            steps: &'a [Step],
            #[serde(skip_serializing_if = "is_default_annotations")]
            annotations: &'a Annotations,
            #[serde(skip_serializing_if = "<[Trigger]>::is_empty")]
            triggers: &'a [Trigger],
        }
        let definition = Borrowed {
            flow: &self.id.slug,
            version: self.id.version,
            options: self.options,
            steps: &self.steps,
            annotations: &self.annotations,
            triggers: &self.triggers,
        };
        serde_json::to_string(&definition).expect("a definition has string keys only and no failing serializer")
    }

    /// Parses the result of [`Flow::to_canonical`]. The state of the flow is [`super::State::Current`].
    ///
    /// # Errors
    /// If the text is not JSON, or not a definition in this format.
    pub fn from_canonical(text: &str) -> Result<Self, serde_json::Error> {
        let definition: Definition = serde_json::from_str(text)?;
        Ok(Self {
            id: FlowId { slug: definition.flow, version: definition.version },
            state: super::State::default(),
            options: definition.options,
            steps: definition.steps,
            annotations: definition.annotations,
            triggers: definition.triggers,
        })
    }

    /// The SHA-256 of the canonical definition, in lower-case hexadecimal.
    pub fn digest(&self) -> String {
        digest(&self.to_canonical())
    }
}

/// The SHA-256 of a text, in lower-case hexadecimal.
pub fn digest(text: &str) -> String {
    sha256_hex(text.as_bytes())
}

/// The SHA-256 of bytes, in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::with_capacity(64), |mut hex, byte| {
        for nibble in [byte >> 4, byte & 15] {
            hex.push(char::from_digit(u32::from(nibble), 16).expect("a nibble is below 16"));
        }
        hex
    })
}

/// Normalises a JSON value so that values that are equal as `jsonb` have the same form: object keys are sorted, and whole
/// numbers are integers, because 1e2, 100.0 and 100 are equal in `jsonb`.
pub fn canonical_json(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.into_iter().map(|(key, value)| (key, canonical_json(value))).collect();
            entries.sort_by(|a, b| a.0.cmp(&b.0));
            Value::Object(Map::from_iter(entries))
        }
        Value::Array(items) => Value::Array(items.into_iter().map(canonical_json).collect()),
        Value::Number(number) => Value::Number(canonical_number(number)),
        other => other,
    }
}

fn canonical_number(number: Number) -> Number {
    // Doubles above ±2^53 are whole and exact too. PostgreSQL prints all their digits.
    const I64: std::ops::Range<f64> = -9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0;
    const U64: std::ops::Range<f64> = 0.0..18_446_744_073_709_551_616.0;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "whole and within the type's range")]
    match number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0) {
        Some(float) if I64.contains(&float) => Number::from(float as i64),
        Some(float) if U64.contains(&float) => Number::from(float as u64),
        _ => number,
    }
}
