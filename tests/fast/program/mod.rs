//! The program and its documentation without a database.

pub(crate) mod cli_docs;
pub(crate) mod examples;
pub(crate) mod report_schemas;
pub(crate) mod tables;
