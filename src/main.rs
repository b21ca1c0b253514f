//! The `flowsmith` command.

fn main() {}
