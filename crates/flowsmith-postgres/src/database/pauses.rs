//! Back-off between attempts to connect.

use std::time::{Duration, Instant};

/// The shortest and the longest pause.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);

/// Exponential back-off between attempts to connect, from 100 ms to 10 s.
///
/// A pooler whose server is down accepts connections and rejects the first query. Losses in quick succession therefore back off
/// as well.
#[derive(Debug, Default)]
pub struct Pauses {
    /// The time of the last loss, and the pause that followed it.
    lost_at: Option<Instant>,
    after_loss: Duration,
    /// The pause after the last failed attempt; zero while connected.
    after_failure: Duration,
}

impl Pauses {
    /// Records a loss and returns the pause before the next attempt: zero after the first loss in a while.
    pub fn lost(&mut self) -> Duration {
        self.lost_at(Instant::now())
    }

    fn lost_at(&mut self, now: Instant) -> Duration {
        let again = self.lost_at.is_some_and(|lost_at| now.duration_since(lost_at) < self.after_loss + LONGEST);
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
    (pause * 2).clamp(FIRST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(pauses: impl Iterator<Item = Duration>) -> Vec<u128> {
        pauses.map(|pause| pause.as_millis()).collect()
    }

    #[test]
    fn attempts_that_fail_have_growing_pauses_between_them() {
        let mut pauses = Pauses::default();
        let failures = milliseconds((0..9).map(|_| pauses.failed()));
        assert_eq!(failures, [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]);
        assert!(pauses.connected());
        assert!(!pauses.connected());
        assert_eq!(pauses.failed(), FIRST);
    }

    #[test]
    fn so_have_losses_that_follow_each_other_and_no_others() {
        let mut pauses = Pauses::default();
        let mut now = Instant::now();
        let mut lose = |after: Duration| {
            now += after;
            pauses.connected();
            pauses.lost_at(now)
        };
        let second = Duration::from_secs(1);
        assert_eq!(milliseconds((0..5).map(|_| lose(second))), [0, 100, 200, 400, 800]);
        assert_eq!(lose(LONGEST + second), Duration::ZERO);
    }
}
