//! What a flow's file says about the input of its runs.

use jsonschema::Validator;
use serde_json::Value;

use super::RunsError;

/// How many things that are wrong with an input are told.
const MAX_REASONS: usize = 5;

/// What a flow's file says about the input of its runs, as it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredInput {
    /// The flow version, as `order@2`.
    pub flow: String,
    /// The JSON Schema.
    pub schema: Value,
}

/// The same, ready to hold inputs against.
pub struct InputValidator {
    flow: String,
    validator: Option<Validator>,
}

impl DeclaredInput {
    /// Makes it ready. A schema that cannot be compiled was refused by `check`; whoever recorded it otherwise gets no answer
    /// from it.
    pub fn check(&self) -> InputValidator {
        let draft = jsonschema::Draft::Draft202012;
        let validator = jsonschema::options().with_draft(draft).build(&self.schema).ok();
        InputValidator { flow: self.flow.clone(), validator }
    }
}

impl InputValidator {
    /// Holds an input against it.
    ///
    /// # Errors
    /// Where the schema refuses it.
    pub fn hold(&self, input: &Value) -> Result<(), RunsError> {
        let Some(validator) = &self.validator else { return Ok(()) };
        let reasons: Vec<String> = validator
            .iter_errors(input)
            .take(MAX_REASONS)
            .map(|error| match error.instance_path().as_str() {
                "" => error.to_string(),
                place => format!("{place}: {error}"),
            })
            .collect();
        if reasons.is_empty() { Ok(()) } else { Err(RunsError::InputRefused { flow: self.flow.clone(), reasons }) }
    }
}
