//! JSON Schemas of inputs and outputs, compiled and applied within a budget.
//!
//! A schema of a kilobyte can expand to gigabytes: each definition refers twice to the next one. Both the expansion of a schema
//! and the validation of an input are therefore counted before they happen. Counting takes time proportional to the size of the
//! schema, or to the pairs of schemas and values that meet, because each is counted once.

mod expansion;
mod references;
mod visits;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde_json::Value;

use expansion::Expansion;
use visits::Visits;

/// The maximum size of a schema in which each `$ref` is replaced with its target, in subschemas.
pub const MAX_EXPANDED: u64 = 100_000;
/// The same for a schema with `unevaluatedProperties` or `unevaluatedItems`, which is expanded when it is compiled.
pub const MAX_EXPANDED_UNEVALUATED: u64 = 2_000;
/// The maximum depth of a schema in which each `$ref` is replaced with its target.
pub const MAX_DEPTH: usize = 256;
/// The maximum number of regular expressions in a schema.
pub const MAX_PATTERNS: usize = 1_000;
/// The maximum length of a regular expression, in bytes.
pub const MAX_PATTERN_BYTES: usize = 4 * 1024;
/// The maximum number of subschemas that are applied to the values of an input.
pub const MAX_VISITS: u64 = 10_000_000;

/// The maximum size of a compiled regular expression, in bytes.
const COMPILED_PATTERN_BYTES: usize = 2 * 1024 * 1024;
/// The maximum number of steps back in a match of a regular expression with lookaround or back references.
const BACKTRACK_LIMIT: usize = 10_000;

/// A compiled schema.
#[derive(Debug)]
pub struct Schema {
    document: Value,
    validator: Validator,
    work: u64,
}

/// The reason why a schema cannot be used.
#[derive(Debug)]
pub enum SchemaError {
    /// The schema is not a valid JSON Schema.
    Invalid(Box<ValidationError<'static>>),
    /// A reference cannot be resolved within the schema.
    Reference {
        /// The JSON pointer of the reference.
        pointer: String,
    },
    /// The schema exceeds the budget.
    TooExpensive {
        /// The JSON pointer of the subschema that exceeds it.
        pointer: String,
        /// The limit, as in "expands to more than 1000 subschemas".
        limit: String,
    },
}

/// The validation of an input would exceed [`MAX_VISITS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("validation takes more than {MAX_VISITS} steps")]
pub struct TooManyVisits;

impl Schema {
    /// Compiles a schema of the draft 2020-12. Nothing is fetched.
    ///
    /// # Errors
    /// Any [`SchemaError`].
    pub fn compile(schema: &Value) -> Result<Self, SchemaError> {
        let expansion = Expansion::of(schema)?;
        let patterns =
            PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_LIMIT).size_limit(COMPILED_PATTERN_BYTES);
        let options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012).with_pattern_options(patterns);
        match options.build(schema) {
            Ok(validator) => Ok(Self { document: schema.clone(), validator, work: expansion.work() }),
            Err(error) if matches!(error.kind(), ValidationErrorKind::Referencing(_)) => {
                Err(SchemaError::Reference { pointer: error.instance_path().as_str().to_owned() })
            }
            Err(error) => Err(SchemaError::Invalid(Box::new(error))),
        }
    }

    /// The work that compiling took, in thousands of steps.
    pub fn work(&self) -> u64 {
        self.work
    }

    /// The number of subschemas that validation applies to the values of an input.
    ///
    /// # Errors
    /// If there are more than [`MAX_VISITS`].
    pub fn visits(&self, input: &Value) -> Result<u64, TooManyVisits> {
        Visits::count(&self.document, input)
    }

    /// The violations of an input, whose number of [`Schema::visits`] is acceptable.
    pub fn violations<'i>(&'i self, input: &'i Value) -> impl Iterator<Item = ValidationError<'i>> {
        self.validator.iter_errors(input)
    }
}
