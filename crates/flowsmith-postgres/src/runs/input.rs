//! Validation of the input of runs against the schema of the flow file.

use flowsmith_core::json_schema::Schema;
use serde_json::Value;

use super::RunsError;

/// The maximum number of reported violations.
const MAX_REASONS: usize = 5;

/// The schema of the input of a flow, as it was applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredInput {
    /// The flow version, as `order@2`.
    pub flow: String,
    /// The JSON Schema.
    pub schema: Value,
}

/// A compiled [`DeclaredInput`].
pub struct InputValidator {
    flow: String,
    schema: Option<Schema>,
}

impl DeclaredInput {
    /// Compiles the schema. `check` rejects schemas that cannot be compiled; if another program recorded such a schema, the
    /// validator accepts every input.
    pub fn compile(&self) -> InputValidator {
        InputValidator { flow: self.flow.clone(), schema: Schema::compile(&self.schema).ok() }
    }
}

impl InputValidator {
    /// Validates an input.
    ///
    /// # Errors
    /// [`RunsError::InputRefused`] with the violations.
    pub fn validate(&self, input: &Value) -> Result<(), RunsError> {
        let Some(schema) = &self.schema else { return Ok(()) };
        let refused = |reasons| RunsError::InputRefused { flow: self.flow.clone(), reasons };
        schema.visits(input).map_err(|error| refused(vec![error.to_string()]))?;
        let reasons: Vec<String> = schema
            .violations(input)
            .take(MAX_REASONS)
            .map(|error| match error.instance_path().as_str() {
                "" => error.to_string(),
                path => format!("{path}: {error}"),
            })
            .collect();
        if reasons.is_empty() { Ok(()) } else { Err(refused(reasons)) }
    }
}
