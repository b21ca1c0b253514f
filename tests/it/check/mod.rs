//! Parts of the check, compared with the behavior of a server.

pub(crate) mod sql_tokens;
