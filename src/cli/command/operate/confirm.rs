//! Asking before something is taken away.

use flowsmith_core::diagnostic::Code;
use std::io::{self, BufRead as _, IsTerminal as _};

use crate::cli::exit::{Exit, Failure};
use crate::cli::output::Output;

/// Goes on where `--yes` is given, or somebody at a terminal says so.
pub(crate) fn confirm(question: &str, is_sure: bool, output: &Output) -> Result<(), Failure> {
    if is_sure {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::Refused,
            Code::NoTerminal,
            format!("there is no terminal to confirm on: {question}"),
            "pass --yes if you mean it; nothing has been changed",
        ));
    }
    output.ask(&format!("{question} [y/N] "));
    let mut answer = String::new();
    let read = io::stdin().lock().read_line(&mut answer);
    if read.is_ok() && ["y", "yes"].contains(&answer.trim().to_lowercase().as_str()) {
        return Ok(());
    }
    Err(Failure::new(Exit::Refused, Code::NotConfirmed, "not confirmed", "nothing has been changed"))
}
