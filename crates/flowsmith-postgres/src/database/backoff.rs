//! Back-off between attempts to connect.

use std::time::{Duration, Instant};

/// The shortest and the longest pause.
const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(10);

/// Exponential back-off between attempts to connect, from 100 ms to 10 s.
///
/// A pooler whose server is down accepts connections and rejects the first query. Losses in quick succession therefore back off
/// as well.
#[derive(Debug, Default)]
pub struct Backoff {
    /// The time of the last loss, and the pause that followed it.
    lost_at: Option<Instant>,
    after_loss: Duration,
    /// The pause after the last failed attempt; zero while connected.
    after_failure: Duration,
}

impl Backoff {
    /// Records a loss and returns the pause before the next attempt: zero after the first loss in a while.
    pub fn lost(&mut self) -> Duration {
        self.lost_at(Instant::now())
    }

    fn lost_at(&mut self, now: Instant) -> Duration {
        let again = self.lost_at.is_some_and(|lost_at| now.duration_since(lost_at) < self.after_loss + MAX_PAUSE);
        self.after_loss = if again { longer(self.after_loss) } else { Duration::ZERO };
        self.after_failure = Duration::ZERO;
        self.lost_at = Some(now);
        self.after_loss
    }

    /// Records a failed attempt and returns the pause before the next one.
    pub fn failed(&mut self) -> Duration {
        self.after_failure = longer(self.after_failure);
        self.after_failure
    }

    /// Records a successful attempt and returns whether earlier attempts failed.
    pub fn connected(&mut self) -> bool {
        !std::mem::take(&mut self.after_failure).is_zero()
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).clamp(MIN_PAUSE, MAX_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(pauses: impl Iterator<Item = Duration>) -> Vec<u128> {
        pauses.map(|pause| pause.as_millis()).collect()
    }

    #[test]
    fn failed_attempts_back_off_exponentially() {
        let mut backoff = Backoff::default();
        let failures = milliseconds((0..9).map(|_| backoff.failed()));
        assert_eq!(failures, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert!(backoff.connected());
        assert!(!backoff.connected());
        assert_eq!(backoff.failed(), MIN_PAUSE);
    }

    #[test]
    fn losses_back_off_only_in_quick_succession() {
        let mut backoff = Backoff::default();
        let mut now = Instant::now();
        let mut lose = |after: Duration| {
            now += after;
            backoff.connected();
            backoff.lost_at(now)
        };
        let second = Duration::from_secs(1);
        assert_eq!(milliseconds((0..5).map(|_| lose(second))), [0, 100, 200, 400, 800]);
        assert_eq!(lose(MAX_PAUSE + second), Duration::ZERO);
    }
}
