//! What is found and planned, written for people and for other programs.

pub mod findings;
