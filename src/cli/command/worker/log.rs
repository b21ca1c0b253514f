//! The log of a worker: one line with a timestamp per event, and a single line if several connections report the same event.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, Utc};
use flowsmith::report::findings::visible;
use flowsmith_worker::Event;

use crate::cli::output::Output;

/// Losses of connections within this time count as one loss.
const ONE_LOSS: Duration = Duration::from_secs(10);

/// Exactly one line of the log. Line breaks, control characters and directional characters in the text of programs and servers
/// are made visible.
pub(super) fn stamped(event: &impl Display) -> String {
    let event = visible(&event.to_string().trim_end().replace('\n', " ↵ "));
    format!("{} {event}", Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// The log of a worker. Less important events are logged only with `--verbose`.
pub(super) struct Log {
    output: Output,
    contact: Mutex<Contact>,
}

impl Log {
    pub(super) fn new(output: Output) -> Self {
        Self { output, contact: Mutex::default() }
    }

    pub(super) fn tell(&self, event: &Event) {
        if let (Some(code), Some(help)) = (event.code(), event.help()) {
            self.output.log(&stamped(&format!("error[{code}]: {event}")));
            self.output.log(&stamped(&format!("  = help: {help}")));
            self.output.log(&stamped(&format!("  = more: flowsmith explain {code}")));
        } else if let Event::Draining { running: 1.., .. } = event {
            self.output.log(&stamped(&format!("{event}; a second signal returns them to the queue")));
        } else if self.is_news(event) {
            self.output.log(&stamped(event));
        } else {
            self.output.log_detail(&stamped(event));
        }
    }

    fn is_news(&self, event: &Event) -> bool {
        let mut contact = self.contact.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::TaskBegan(_) | Event::TaskCompleted { .. } => false,
            Event::Disconnected { .. } => contact.lost(Instant::now()),
            Event::NotConnected { again_in, .. } => contact.tried(Instant::now(), *again_in),
            Event::Reconnected => contact.found(),
            _ => true,
        }
    }
}

/// The state of the connections as last logged.
#[derive(Default)]
struct Contact {
    /// Whether a loss was logged last.
    is_lost: bool,
    lost_at: Option<Instant>,
    /// Until this time, further failed attempts are not logged.
    tried_until: Option<Instant>,
}

impl Contact {
    /// Records a lost connection and returns whether to log it.
    fn lost(&mut self, now: Instant) -> bool {
        if self.lost_at.is_some_and(|lost_at| now < lost_at + ONE_LOSS) {
            return false;
        }
        (self.is_lost, self.lost_at) = (true, Some(now));
        true
    }

    /// Records a failed attempt to connect and returns whether to log it.
    fn tried(&mut self, now: Instant, again_in: Duration) -> bool {
        if self.tried_until.is_some_and(|until| now < until) {
            return false;
        }
        (self.is_lost, self.tried_until) = (true, Some(now + again_in));
        true
    }

    /// Records a new connection and returns whether to log it.
    fn found(&mut self) -> bool {
        std::mem::take(&mut self.is_lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_connections_say_is_said_once_and_the_last_word_is_true() {
        let (mut contact, began) = (Contact::default(), Instant::now());
        let at = |tenths: u32| began + Duration::from_millis(100) * tenths;
        let pause = Duration::from_secs(1);
        // Four lose their connections, try, and have them again.
        assert_eq!([0, 0, 1, 2].map(|tenths| contact.lost(at(tenths))), [true, false, false, false]);
        assert_eq!([3, 3, 4, 13].map(|tenths| contact.tried(at(tenths), pause)), [true, false, false, true]);
        assert_eq!([(); 4].map(|()| contact.found()), [true, false, false, false]);
        // One finds out later, and has another one at once.
        assert_eq!((contact.lost(at(50)), contact.found()), (false, false));
        // The next loss is news, and so is its end; also of one that came soon, but could not be made good at once.
        assert_eq!((contact.lost(at(150)), contact.found()), (true, true));
        assert_eq!((contact.lost(at(160)), contact.tried(at(161), pause), contact.found()), (false, true, true));
    }
}
