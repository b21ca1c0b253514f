//! Attacks by the author of a repository, against a program that reads its files.

mod files;
mod linear;
mod schemas;
mod workflow;
