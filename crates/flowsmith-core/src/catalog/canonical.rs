//! The canonical definition of a flow, in which equal flows have equal JSON texts, and its SHA-256.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use sha2::{Digest, Sha256};

use super::{Annotations, FailureMode, Flow, FlowId, FlowOptions, State, Step, StepKind, Trigger};

/// The definition of a flow version in migrations and in the ledger. Missing keys have their defaults. The keys are in the order
/// of a flow file. It includes neither the identity nor the state: a draining version keeps its definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Definition<'a> {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "is_empty_map")]
    labels: Cow<'a, BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<Cow<'a, Value>>,
    #[serde(default, skip_serializing_if = "is_default_options")]
    options: FlowOptions,
    steps: Vec<StepDefinition<'a>>,
    #[serde(default, skip_serializing_if = "is_empty_list")]
    triggers: Cow<'a, [Trigger]>,
}

/// A [`Step`] with its handler and the schema of its output, which a [`Flow`] keeps in its annotations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepDefinition<'a> {
    slug: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    handler: Option<Cow<'a, Value>>,
    #[serde(default, skip_serializing_if = "is_single")]
    kind: StepKind,
    #[serde(default, skip_serializing_if = "is_empty_list")]
    depends_on: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    required_input_pattern: Option<Cow<'a, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    forbidden_input_pattern: Option<Cow<'a, Value>>,
    #[serde(default = "FailureMode::skip", skip_serializing_if = "FailureMode::is_skip")]
    when_unmet: FailureMode,
    #[serde(default, skip_serializing_if = "is_fail")]
    when_exhausted: FailureMode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max_attempts: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    base_delay: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timeout: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    start_delay: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output: Option<Cow<'a, Value>>,
}

/// A definition with its identity: the text whose SHA-256 is the digest of a flow version.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Identified<'a> {
    flow: Cow<'a, str>,
    version: u32,
    definition: Definition<'a>,
}

// serde hands `skip_serializing_if` a reference.
fn is_default_options(options: &FlowOptions) -> bool {
    *options == FlowOptions::DEFAULT
}
#[expect(clippy::ptr_arg)]
fn is_empty_map(map: &Cow<'_, BTreeMap<String, String>>) -> bool {
    map.is_empty()
}
#[expect(clippy::ptr_arg)]
fn is_empty_list<T: Clone>(list: &Cow<'_, [T]>) -> bool {
    list.is_empty()
}
#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_single(kind: &StepKind) -> bool {
    *kind == StepKind::Single
}
#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_fail(mode: &FailureMode) -> bool {
    *mode == FailureMode::Fail
}

impl<'a> StepDefinition<'a> {
    fn of(step: &'a Step, annotations: &'a Annotations) -> Self {
        Self {
            slug: Cow::Borrowed(&step.slug),
            handler: annotations.handlers.get(&step.slug).map(Cow::Borrowed),
            kind: step.kind,
            depends_on: Cow::Borrowed(&step.depends_on),
            required_input_pattern: step.required_input_pattern.as_ref().map(Cow::Borrowed),
            forbidden_input_pattern: step.forbidden_input_pattern.as_ref().map(Cow::Borrowed),
            when_unmet: step.when_unmet,
            when_exhausted: step.when_exhausted,
            max_attempts: step.max_attempts,
            base_delay: step.base_delay,
            timeout: step.timeout,
            start_delay: step.start_delay,
            output: annotations.outputs.get(&step.slug).map(Cow::Borrowed),
        }
    }

    fn into_step(self, annotations: &mut Annotations) -> Step {
        let slug = self.slug.into_owned();
        if let Some(handler) = self.handler {
            annotations.handlers.insert(slug.clone(), handler.into_owned());
        }
        if let Some(output) = self.output {
            annotations.outputs.insert(slug.clone(), output.into_owned());
        }
        Step {
            slug,
            kind: self.kind,
            depends_on: self.depends_on.into_owned(),
            max_attempts: self.max_attempts,
            base_delay: self.base_delay,
            timeout: self.timeout,
            start_delay: self.start_delay,
            required_input_pattern: self.required_input_pattern.map(Cow::into_owned),
            forbidden_input_pattern: self.forbidden_input_pattern.map(Cow::into_owned),
            when_unmet: self.when_unmet,
            when_exhausted: self.when_exhausted,
        }
    }
}

impl<'a> Definition<'a> {
    /// The definition of a flow, which it borrows.
    pub(crate) fn of(flow: &'a Flow) -> Self {
        let annotations = &flow.annotations;
        Self {
            description: annotations.description.as_deref().map(Cow::Borrowed),
            owner: annotations.owner.as_deref().map(Cow::Borrowed),
            labels: Cow::Borrowed(&annotations.labels),
            input: annotations.input.as_ref().map(Cow::Borrowed),
            options: flow.options,
            steps: flow.steps.iter().map(|step| StepDefinition::of(step, annotations)).collect(),
            triggers: Cow::Borrowed(&flow.triggers),
        }
    }

    /// Whether a step needs an engine with conditions and skip modes (level 0.14).
    pub(crate) fn needs_conditions(&self) -> bool {
        self.steps.iter().any(|step| {
            step.required_input_pattern.is_some()
                || step.forbidden_input_pattern.is_some()
                || step.when_unmet != FailureMode::Skip
                || step.when_exhausted != FailureMode::Fail
        })
    }

    /// The names of the steps, in database order.
    pub(crate) fn step_slugs(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().map(|step| &*step.slug)
    }

    /// The triggers, sorted by name.
    pub(crate) fn triggers(&self) -> &[Trigger] {
        &self.triggers
    }

    /// A copy of the annotations.
    pub(crate) fn annotations(&self) -> Annotations {
        let handlers = self.steps.iter().filter_map(|step| Some((&step.slug, step.handler.as_deref()?)));
        let outputs = self.steps.iter().filter_map(|step| Some((&step.slug, step.output.as_deref()?)));
        Annotations {
            description: self.description.as_deref().map(str::to_owned),
            owner: self.owner.as_deref().map(str::to_owned),
            labels: BTreeMap::clone(&self.labels),
            input: self.input.as_deref().cloned(),
            handlers: handlers.map(|(slug, value)| (slug.to_string(), value.clone())).collect(),
            outputs: outputs.map(|(slug, value)| (slug.to_string(), value.clone())).collect(),
        }
    }

    /// The flow with this definition.
    pub(crate) fn into_flow(self, id: FlowId, state: State) -> Flow {
        let mut annotations = Annotations {
            description: self.description.map(Cow::into_owned),
            owner: self.owner.map(Cow::into_owned),
            labels: self.labels.into_owned(),
            input: self.input.map(Cow::into_owned),
            ..Annotations::default()
        };
        let steps = self.steps.into_iter().map(|step| step.into_step(&mut annotations)).collect();
        Flow { id, state, options: self.options, steps, annotations, triggers: self.triggers.into_owned() }
    }
}

impl Flow {
    /// The canonical JSON text, on one line. Equal flows have equal texts.
    pub fn to_canonical(&self) -> String {
        let identified = Identified {
            flow: Cow::Borrowed(&self.id.slug),
            version: self.id.version,
            definition: Definition::of(self),
        };
        serde_json::to_string(&identified).expect("a definition has string keys only and no failing serializer")
    }

    /// Parses the result of [`Flow::to_canonical`]. The state of the flow is [`State::Current`].
    ///
    /// # Errors
    /// If the text is not JSON, or not a definition in this format.
    pub fn from_canonical(text: &str) -> Result<Self, serde_json::Error> {
        let Identified { flow, version, definition } = serde_json::from_str(text)?;
        Ok(definition.into_flow(FlowId { slug: flow.into_owned(), version }, State::default()))
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
