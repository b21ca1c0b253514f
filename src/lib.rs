//! The parts of the `flowsmith` program that render results: reports and pictures.

pub mod graph;
pub mod report;
