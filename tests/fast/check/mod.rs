//! The check and its findings.

pub(crate) mod cases;
pub(crate) mod desired_catalog;
pub(crate) mod files;
pub(crate) mod findings_docs;
pub(crate) mod formats;
pub(crate) mod hostile_input;
pub(crate) mod properties;
