//! Attacks by the author of a repository, against a program that reads its files.

mod rights;
mod transactions;

mod documented;
