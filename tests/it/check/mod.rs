//! Parts of the check that are compared with a server.

pub(crate) mod sql_tokens;
