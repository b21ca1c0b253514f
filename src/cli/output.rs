//! Where words go: reports to stdout, messages to stderr; colours only where they are wanted.

use std::io::{self, Write as _};

use anstream::{AutoStream, ColorChoice};

use super::args::{Color, Global};
use super::exit::Failure;

/// The two streams, and how much is said on them.
#[derive(Clone)]
pub(crate) struct Output {
    quiet: bool,
    verbose: bool,
    choice: ColorChoice,
}

impl Output {
    pub(crate) fn new(global: &Global) -> Self {
        let choice = match global.color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::AlwaysAnsi,
            Color::Never => ColorChoice::Never,
        };
        Self { quiet: global.quiet, verbose: global.verbose, choice }
    }

    /// What was asked for.
    pub(crate) fn report(&self, text: &str) {
        write_or_end(AutoStream::new(io::stdout(), self.choice), text);
    }

    /// A report in place of the one before it, where there is a screen; as much of it as fits.
    pub(crate) fn screen(&self, text: &str) {
        let Ok(size) = rustix::termios::tcgetwinsize(io::stdout()) else {
            return self.report(&format!("{text}\n"));
        };
        // Not through the stream that strips colours where none are wanted: it would strip these too.
        let control = |sequence: &str| write_or_end(AutoStream::always_ansi(io::stdout()), sequence);
        // To the corner, without breaking lines that are too long; what a longer report has left is cleared, line by line,
        // so that nothing flickers.
        control("\u{1b}[?7l\u{1b}[H");
        for line in text.lines().take(usize::from(size.ws_row).saturating_sub(1)) {
            self.report(line);
            control("\u{1b}[K\n");
        }
        control("\u{1b}[J\u{1b}[?7h");
    }

    /// What happens meanwhile.
    pub(crate) fn message(&self, text: &str) {
        if !self.quiet {
            write_or_end(AutoStream::new(io::stderr(), self.choice), &format!("{text}\n"));
        }
    }

    /// A question, which is asked also where quiet.
    pub(crate) fn ask(&self, text: &str) {
        write_or_end(AutoStream::new(io::stderr(), self.choice), text);
    }

    /// What only the curious want to know.
    pub(crate) fn detail(&self, text: &str) {
        if self.verbose {
            self.message(text);
        }
    }

    /// What happens in a command that goes on for long: whoever stops reading does not stop it.
    pub(crate) fn log(&self, line: &str) {
        if !self.quiet {
            let _ = writeln!(AutoStream::new(io::stderr(), self.choice), "{line}");
        }
    }

    /// The same for the curious.
    pub(crate) fn log_detail(&self, line: &str) {
        if self.verbose {
            self.log(line);
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
        write_or_end(AutoStream::new(io::stderr(), self.choice), &text);
    }
}

/// A reader that has gone away (`flowsmith plan | head -1`) wants no more, which is no failure of ours.
fn write_or_end<S: anstream::stream::RawStream + anstream::stream::AsLockedWrite>(
    mut stream: AutoStream<S>,
    text: &str,
) {
    if stream.write_all(text.as_bytes()).and_then(|()| stream.flush()).is_err() {
        std::process::exit(i32::from(super::exit::Exit::Failed as u8));
    }
}
