//! The log of a worker: one line with a timestamp per event, and a single line if several connections report the same event.

use std::fmt::Display;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::SecondsFormat;
use flowsmith_core::clock;
use flowsmith_core::visible::visible;
use flowsmith_worker::{Event, Redactor, ServiceEvent};

use crate::cli::output::Output;

/// Losses of connections within this time count as one loss.
const ONE_LOSS: Duration = Duration::from_secs(10);

/// The log of a worker. Less important events are logged only with `--verbose`.
pub(super) struct Log {
    output: Output,
    secrets: Redactor,
    connections: Mutex<ConnectionState>,
}

impl Log {
    pub(super) fn new(output: Output, secrets: Redactor) -> Self {
        Self { output, secrets, connections: Mutex::default() }
    }

    /// Exactly one line of the log. Line breaks, control characters and directional characters in the text of programs and servers
    /// are made visible, and secrets are redacted.
    fn stamped(&self, event: &impl Display) -> String {
        let event = event.to_string();
        let event = self.secrets.redact(event.trim_end()).replace('\n', " ↵ ");
        format!("{} {}", clock::now().to_rfc3339_opts(SecondsFormat::Millis, true), visible(&event))
    }

    pub(super) fn line(&self, text: &impl Display) {
        self.output.log(&self.stamped(text));
    }

    pub(super) fn record(&self, event: &ServiceEvent<'_>) {
        match event {
            ServiceEvent::Worker(event) => self.record_worker(event),
            event => self.line(event),
        }
    }

    fn record_worker(&self, event: &Event) {
        if let (Some(code), Some(help)) = (event.code(), event.help()) {
            self.line(&format!("error[{code}]: {event}"));
            self.line(&format!("  = help: {help}"));
            self.line(&format!("  = more: flowsmith explain {code}"));
        } else if let Event::Draining { running: 1.., .. } = event {
            self.line(&format!("{event}; a second signal returns them to the queue"));
        } else if self.is_important(event) {
            self.line(event);
        } else {
            self.output.log_detail(&self.stamped(event));
        }
    }

    fn is_important(&self, event: &Event) -> bool {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::TaskStarted(_) | Event::TaskCompleted { .. } => false,
            Event::Disconnected { .. } => connections.record_loss(Instant::now()),
            Event::NotConnected { retry_in, .. } => connections.record_failure(Instant::now(), *retry_in),
            Event::Reconnected => connections.record_success(),
            _ => true,
        }
    }
}

/// The state of the connections as last logged.
#[derive(Default)]
struct ConnectionState {
    /// Whether a loss was logged last.
    is_lost: bool,
    lost_at: Option<Instant>,
    /// Until this time, further failed attempts are not logged.
    failure_logged_until: Option<Instant>,
}

impl ConnectionState {
    /// Records a lost connection and returns whether to log it.
    fn record_loss(&mut self, now: Instant) -> bool {
        if self.lost_at.is_some_and(|lost_at| now < lost_at + ONE_LOSS) {
            return false;
        }
        (self.is_lost, self.lost_at) = (true, Some(now));
        true
    }

    /// Records a failed attempt to connect and returns whether to log it.
    fn record_failure(&mut self, now: Instant, retry_in: Duration) -> bool {
        if self.failure_logged_until.is_some_and(|until| now < until) {
            return false;
        }
        (self.is_lost, self.failure_logged_until) = (true, Some(now + retry_in));
        true
    }

    /// Records a new connection and returns whether to log it.
    fn record_success(&mut self) -> bool {
        std::mem::take(&mut self.is_lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn simultaneous_events_of_several_connections_are_logged_once() {
        let (mut state, began) = (ConnectionState::default(), Instant::now());
        let at = |tenths: u32| began + Duration::from_millis(100) * tenths;
        let pause = Duration::from_secs(1);
        // Four connections are lost, fail to reconnect, and reconnect.
        assert_eq!([0, 0, 1, 2].map(|tenths| state.record_loss(at(tenths))), [true, false, false, false]);
        assert_eq!([3, 3, 4, 13].map(|tenths| state.record_failure(at(tenths), pause)), [true, false, false, true]);
        assert_eq!([(); 4].map(|()| state.record_success()), [true, false, false, false]);
        // One connection detects the loss later, and reconnects at once.
        assert_eq!((state.record_loss(at(50)), state.record_success()), (false, false));
        // The next loss and its end are logged.
        assert_eq!((state.record_loss(at(150)), state.record_success()), (true, true));
        // A loss shortly afterwards is not, but failed attempts to reconnect and their end are.
        assert_eq!(
            (state.record_loss(at(160)), state.record_failure(at(161), pause), state.record_success()),
            (false, true, true)
        );
    }
}
