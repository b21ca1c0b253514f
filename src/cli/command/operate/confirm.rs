//! Confirmation before destructive operations.

use flowsmith_core::diagnostic::Code;
use std::io::{self, BufRead as _, IsTerminal as _};

use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;

/// Succeeds with `--yes` or after confirmation on a terminal.
pub(crate) fn confirm(question: &str, is_sure: bool, output: &Output) -> Result<(), Failure> {
    if is_sure {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::Refused,
            Code::NoTerminal,
            format!("confirmation requires a terminal: {question}"),
            "pass --yes to confirm; nothing has been changed",
        ));
    }
    output.ask(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Refused,
        Code::NotConfirmed,
        "not confirmed",
        "answer `y`, or pass --yes; nothing has been changed",
    ))
}
