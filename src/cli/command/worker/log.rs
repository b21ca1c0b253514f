//! A worker's log: one stamped line for each event, and one line where several connections have the same to say.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::{SecondsFormat, Utc};
use flowsmith::report::findings::visible;
use flowsmith_worker::Event;

use crate::cli::output::Output;

/// Losses of connections within this time of each other are one loss.
const ONE_LOSS: Duration = Duration::from_secs(10);

/// A line of the log, and no more than one: whatever programs and servers say, nothing in it ends the line, moves the cursor or
/// reverses the direction of writing.
pub(super) fn stamped(event: &impl Display) -> String {
    let event = visible(&event.to_string().trim_end().replace('\n', " ↵ "));
    format!("{} {event}", Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true))
}

/// A worker's log. What is not worth a line is said to the curious only.
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
            self.output.log(&stamped(&format!("{event}; at another signal they go back to the queue")));
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

/// What has been said of the connections.
#[derive(Default)]
struct Contact {
    /// That they are lost was the last that was said.
    is_lost: bool,
    lost_at: Option<Instant>,
    /// Until when another attempt that fails is no news.
    tried_until: Option<Instant>,
}

impl Contact {
    /// A connection was lost; whether that is news.
    fn lost(&mut self, now: Instant) -> bool {
        if self.lost_at.is_some_and(|lost_at| now < lost_at + ONE_LOSS) {
            return false;
        }
        (self.is_lost, self.lost_at) = (true, Some(now));
        true
    }

    /// An attempt to connect has failed, and the next one comes after this pause.
    fn tried(&mut self, now: Instant, again_in: Duration) -> bool {
        if self.tried_until.is_some_and(|until| now < until) {
            return false;
        }
        (self.is_lost, self.tried_until) = (true, Some(now + again_in));
        true
    }

    /// There is a connection again.
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
