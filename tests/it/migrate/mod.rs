//! Compiling, planning, applying and verifying migrations.

pub(crate) mod applying;
pub(crate) mod cut_writing;
pub(crate) mod drift_and_plan;
pub(crate) mod hazards;
pub(crate) mod hostile_values;
pub(crate) mod pipeline;
pub(crate) mod pull;
pub(crate) mod safety;
