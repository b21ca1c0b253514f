//! Where words go: reports to stdout, messages to stderr; colours only where they are wanted.
//!
//! Whoever reads may go away (`flowsmith status | head -1`). A command that only reads then ends, quietly, as other programs do
//! that are killed by SIGPIPE. One that changes something goes on to its end, and says by its exit code how that was.
//! Nobody reading messages stops nothing.

use flowsmith_core::diagnostic::Code;
use std::borrow::Cow;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::{AutoStream, ColorChoice};

use super::args::{Cli, Color};
use super::exit::{Exit, Failure};
use super::fold::{fold, log};
use super::nature::{Effect, Form};

/// The two streams, and how much is said on them.
#[derive(Clone)]
pub(crate) struct Output {
    quiet: bool,
    verbose: bool,
    choice: ColorChoice,
    form: Form,
    effect: Effect,
    /// Whether it is known, and has been said, that stdout takes nothing.
    is_unread: Arc<AtomicBool>,
}

impl Output {
    pub(crate) fn new(cli: &Cli) -> Self {
        let choice = match cli.global.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::AlwaysAnsi,
            Color::Never => ColorChoice::Never,
        };
        Self {
            quiet: cli.global.quiet,
            verbose: cli.global.verbose,
            choice,
            form: cli.command.form(),
            effect: cli.command.effect(),
            is_unread: Arc::default(),
        }
    }

    /// What stdout is to hold.
    pub(crate) fn form(&self) -> Form {
        self.form
    }

    /// What was asked for.
    pub(crate) fn report(&self, text: &str) {
        match self.form {
            Form::Text => self.print(&folded(io::stdout(), text)),
            // Has no colours to be taken out, and may be long.
            Form::Json => self.written(write(io::stdout().lock(), text)),
            Form::Document => self.print(text),
        }
    }

    fn print(&self, text: &str) {
        self.written(write(AutoStream::new(io::stdout(), self.choice), text));
    }

    fn written(&self, result: io::Result<()>) {
        if let Err(error) = result {
            self.not_written(&error);
        }
    }

    /// What belongs to a report for people; a message where stdout holds something else.
    pub(crate) fn aside(&self, text: &str) {
        match self.form {
            Form::Text => self.report(text),
            Form::Json | Form::Document => self.complain(text.trim_end()),
        }
    }

    fn not_written(&self, error: &io::Error) {
        let is_closed = error.kind() == io::ErrorKind::BrokenPipe;
        if self.effect == Effect::Reads {
            if is_closed {
                std::process::exit(i32::from(Exit::Unread as u8));
            }
            let message = format!("the report cannot be written: {error}");
            self.failure(&Failure::new(
                Exit::Failed,
                Code::Io,
                message,
                "make room where stdout goes, and run this again",
            ));
            std::process::exit(i32::from(Exit::Failed as u8));
        }
        if !self.is_unread.swap(true, Ordering::Relaxed) && !is_closed {
            self.complain(&format!("warning: what goes to stdout is lost: {error}; the work goes on"));
        }
    }

    /// A report in place of the one before it, where there is a screen; as much of it as fits.
    pub(crate) fn screen(&self, text: &str) {
        let Ok(size) = rustix::termios::tcgetwinsize(io::stdout()) else {
            return self.report(&format!("{text}\n"));
        };
        // Not through the stream that strips colours where none are wanted: it would strip these too.
        let control = |sequence: &str| {
            self.written(write(AutoStream::always_ansi(io::stdout()), sequence));
        };
        // To the corner, without breaking lines that are too long; what a longer report has left is cleared, line by line,
        // so that nothing flickers.
        control("\u{1b}[?7l\u{1b}[H");
        let text = fold(text, usize::from(size.ws_col));
        for line in text.lines().take(usize::from(size.ws_row).saturating_sub(1)) {
            self.print(line);
            control("\u{1b}[K\n");
        }
        control("\u{1b}[J\u{1b}[?7h");
    }

    /// What happens meanwhile.
    pub(crate) fn message(&self, text: &str) {
        if !self.quiet {
            self.complain(text);
        }
    }

    /// A line of a log.
    pub(crate) fn log(&self, line: &str) {
        if !self.quiet {
            let line = format!("{line}\n");
            let folded = match rustix::termios::tcgetwinsize(io::stderr()) {
                Ok(size) if size.ws_col > 0 => log(&line, usize::from(size.ws_col)),
                _ => line,
            };
            // Whoever stops reading messages stops nothing.
            let _ = write(AutoStream::new(io::stderr(), self.choice), &folded);
        }
    }

    /// A line of a log that only the curious want to read.
    pub(crate) fn log_detail(&self, line: &str) {
        if self.verbose {
            self.log(line);
        }
    }

    /// How many columns a report has; none where it does not go to a terminal.
    pub(crate) fn columns(&self) -> Option<usize> {
        let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
        (size.ws_col > 0).then_some(usize::from(size.ws_col))
    }

    /// What is wrong; said also where quiet.
    pub(crate) fn complain(&self, text: &str) {
        self.ask(&format!("{text}\n"));
    }

    /// A question, which is asked also where quiet.
    pub(crate) fn ask(&self, text: &str) {
        // Whoever stops reading messages stops nothing.
        let _ = write(AutoStream::new(io::stderr(), self.choice), &folded(io::stderr(), text));
    }

    /// What only the curious want to know.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            self.message(text);
        }
    }

    /// Why it was not done; said also where quiet.
    pub(crate) fn failure(&self, failure: &Failure) {
        let bad = anstyle::AnsiColor::Red.on_default().bold();
        let code = failure.code.map(|code| format!("[{code}]")).unwrap_or_default();
        let mut text = format!("{bad}error{code}{bad:#}: {}\n", failure.message);
        if let Some(help) = &failure.help {
            text.push_str(&format!("  = help: {help}\n"));
        }
        if let Some(code) = failure.code {
            text.push_str(&format!("  = more: flowsmith explain {code}\n"));
        }
        self.ask(&text);
    }
}

/// The text as it is to be read where it goes.
fn folded(stream: impl AsFd, text: &str) -> Cow<'_, str> {
    match rustix::termios::tcgetwinsize(stream) {
        Ok(size) if size.ws_col > 0 => fold(text, usize::from(size.ws_col)).into(),
        _ => text.into(),
    }
}

fn write(mut stream: impl io::Write, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())?;
    stream.flush()
}
