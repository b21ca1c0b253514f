//! Compiling, replaying and comparing without a database.

pub(crate) mod cases;
pub(crate) mod laws;
