//! Prints reports to stdout and messages to stderr, in colour if requested.
//!
//! The reader of stdout may close it early (`flowsmith status | head -1`). A read-only command then exits quietly with 141,
//! as if SIGPIPE had killed it. A command that writes continues to its end, and its exit code reports its result. A closed
//! stderr stops no command.

use flowsmith_core::diagnostic::Code;
use flowsmith_core::visible::{visible, visible_json, visible_message, visible_styled};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::{AutoStream, ColorChoice};
use flowsmith::report::TextLayout;

use super::args::{Cli, Color};
use super::command_kind::{CommandKind, StdoutFormat};
use super::exit::{Exit, Failure};

/// The two streams and their verbosity.
#[derive(Clone)]
pub(crate) struct Output {
    quiet: bool,
    verbose: bool,
    choice: ColorChoice,
    format: StdoutFormat,
    kind: CommandKind,
    /// Whether a warning about a stdout that cannot be written has been printed.
    has_warned: Arc<AtomicBool>,
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
            format: cli.command.stdout_format(),
            kind: cli.command.kind(),
            has_warned: Arc::default(),
        }
    }

    /// The format of the report.
    pub(crate) fn stdout_format(&self) -> StdoutFormat {
        self.format
    }

    /// The space for text reports: that of stdout, or that of stderr if stdout has another format.
    pub(crate) fn layout(&self) -> TextLayout {
        match self.format {
            StdoutFormat::Text => layout(io::stdout()),
            StdoutFormat::Json | StdoutFormat::Document => layout(io::stderr()),
        }
    }

    /// Writes the report to stdout. Text has the layout of this output.
    pub(crate) fn report(&self, text: &str) {
        match self.format {
            StdoutFormat::Text => self.print(&visible_styled(text)),
            // Documents escape what they quote themselves.
            StdoutFormat::Document => self.print(text),
            // JSON has no colors to strip, and may be long.
            StdoutFormat::Json => self.written(write(io::stdout().lock(), &visible_json(text))),
        }
    }

    /// Wraps sentences of a text report and writes them.
    pub(crate) fn prose(&self, text: &str) {
        self.report(&self.layout().wrap(text));
    }

    fn print(&self, text: &str) {
        self.written(write(AutoStream::new(io::stdout(), self.choice), text));
    }

    fn written(&self, result: io::Result<()>) {
        if let Err(error) = result {
            self.not_written(&error);
        }
    }

    /// Prints a part of a text report; if the report has another format, prints it as a message instead.
    pub(crate) fn aside(&self, text: &str) {
        match self.format {
            StdoutFormat::Text => self.report(text),
            StdoutFormat::Json | StdoutFormat::Document => self.print_error(&format!("{}\n", text.trim_end())),
        }
    }

    fn not_written(&self, error: &io::Error) {
        let is_closed = error.kind() == io::ErrorKind::BrokenPipe;
        if self.kind == CommandKind::ReadOnly {
            if is_closed {
                std::process::exit(i32::from(Exit::Unread as u8));
            }
            let message = format!("cannot write the report: {error}");
            self.failure(&Failure::new(
                Exit::Failed,
                Code::Io,
                message,
                "free space on the target of stdout, and run this again",
            ));
            std::process::exit(i32::from(Exit::Failed as u8));
        }
        if !self.has_warned.swap(true, Ordering::Relaxed) && !is_closed {
            self.complain(&format!("warning: cannot write to stdout: {error}; the command continues"));
        }
    }

    /// Replaces the previous report on a terminal, cut off at the height of the screen.
    pub(crate) fn screen(&self, text: &str) {
        let Ok(size) = rustix::termios::tcgetwinsize(io::stdout()) else {
            return self.report(&format!("{text}\n"));
        };
        // The stream that strips colours would strip these sequences too.
        let control = |sequence: &str| {
            self.written(write(AutoStream::always_ansi(io::stdout()), sequence));
        };
        // Moves to the corner and turns line wrapping off. The rest of the previous report is cleared line by line, which does
        // not flicker.
        control("\u{1b}[?7l\u{1b}[H");
        for line in text.lines().take(usize::from(size.ws_row).saturating_sub(1)) {
            self.print(&visible_styled(line));
            control("\u{1b}[K\n");
        }
        control("\u{1b}[J\u{1b}[?7h");
    }

    /// Prints a message, except with --quiet.
    pub(crate) fn message(&self, text: &str) {
        if !self.quiet {
            self.complain(text);
        }
    }

    /// Prints a line of a log, except with --quiet.
    pub(crate) fn log(&self, line: &str) {
        if !self.quiet {
            self.complain(line);
        }
    }

    /// Prints a line of a log with --verbose.
    pub(crate) fn log_detail(&self, line: &str) {
        if self.verbose {
            self.log(line);
        }
    }

    /// Writes findings to stderr, unless `--quiet`. They are not wrapped, because they quote lines of files.
    pub(crate) fn findings(&self, text: &str) {
        if !self.quiet {
            self.print_error(&format!("{}\n", text.trim_end()));
        }
    }

    /// Prints a problem, also with --quiet.
    pub(crate) fn complain(&self, text: &str) {
        self.ask(&format!("{text}\n"));
    }

    /// Prints a question, also with --quiet.
    pub(crate) fn ask(&self, text: &str) {
        self.print_error(&layout(io::stderr()).wrap(text));
    }

    fn print_error(&self, text: &str) {
        // Errors of stderr are ignored.
        let _ = write(AutoStream::new(io::stderr(), self.choice), &visible_styled(text));
    }

    /// Prints a message with --verbose.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            self.message(text);
        }
    }

    /// Prints the error that ended the command, also with --quiet.
    pub(crate) fn failure(&self, failure: &Failure) {
        let bad = anstyle::AnsiColor::Red.on_default().bold();
        let code = failure.code.map(|code| format!("[{code}]")).unwrap_or_default();
        let mut text = format!("{bad}error{code}{bad:#}: {}\n", visible_message(&failure.message));
        if let Some(help) = &failure.help {
            text.push_str(&format!("  = help: {}\n", visible_message(help)));
        }
        if let Some(code) = failure.code {
            text.push_str(&format!("  = more: flowsmith explain {code}\n"));
        }
        self.ask(&text);
    }
}

/// A path for a message. Names of files may be foreign.
pub(crate) fn shown(path: impl AsRef<Path>) -> String {
    visible(&path.as_ref().to_string_lossy()).into_owned()
}

/// The space of a stream: the width of the terminal, otherwise that of the variable `COLUMNS`, which the help texts follow too.
/// Pipes and files have no limit, so that each row stays one line.
fn layout(stream: impl AsFd) -> TextLayout {
    let terminal = rustix::termios::tcgetwinsize(stream).ok().map(|size| usize::from(size.ws_col));
    let variable = || std::env::var("COLUMNS").ok()?.parse().ok();
    let width = terminal.filter(|width| *width > 0).or_else(variable);
    width.filter(|width| *width > 0).map_or(TextLayout::UNLIMITED, TextLayout::of_width)
}

/// Prints what clap says instead of a command: help and version on stdout, usage errors on stderr. These may quote arguments.
pub(crate) fn parsed(error: &clap::Error) -> Exit {
    let text = error.render();
    let text = visible_styled(&text.ansi().to_string()).into_owned();
    if error.use_stderr() {
        // Errors of stderr are ignored.
        let _ = write(AutoStream::auto(io::stderr()), &text);
        return Exit::Usage;
    }
    match write(AutoStream::auto(io::stdout()), &text) {
        Ok(()) => Exit::Done,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Unread,
        Err(error) => {
            let _ = write(
                AutoStream::auto(io::stderr()),
                &format!("error[{}]: cannot write the help: {error}\n", Code::Io),
            );
            Exit::Failed
        }
    }
}

fn write(mut stream: impl io::Write, text: &str) -> io::Result<()> {
    stream.write_all(text.as_bytes())?;
    stream.flush()
}
