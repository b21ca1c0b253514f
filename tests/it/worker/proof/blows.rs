//! Who is struck, and when.

use std::fmt::Write as _;

use super::Size;

/// What is killed, with SIGKILL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Victim {
    /// A worker; another one is started in its place.
    Worker,
    /// The server with all its backends, until it is started again.
    Server,
    /// The pooler, until the workers behind it have noticed.
    Pooler,
}

const VICTIMS: [Victim; 3] = [Victim::Worker, Victim::Server, Victim::Pooler];

/// When so many runs are completed.
pub(super) struct Blow {
    pub(super) at: usize,
    pub(super) victim: Victim,
}

/// All blows of a run of the test, in order, spread over nine tenths of the runs.
pub(super) fn blows(size: Size) -> Vec<Blow> {
    let mut dice = size.dice(1);
    let counts = [(size.runs / 500).max(2), 1 + size.runs / 10_000, 1 + size.runs / 10_000];
    let mut victims: Vec<Victim> =
        VICTIMS.iter().zip(counts).flat_map(|(victim, count)| vec![*victim; count]).collect();
    for last in (1..victims.len()).rev() {
        victims.swap(last, dice.throw(last + 1));
    }
    let part = (size.runs * 9 / 10 / victims.len()).max(1);
    victims.iter().zip(0..).map(|(&victim, n)| Blow { at: n * part + dice.throw(part), victim }).collect()
}

pub(super) fn in_words(blows: &[Blow]) -> String {
    let mut words = "killed:".to_owned();
    for victim in VICTIMS {
        let times = blows.iter().filter(|blow| blow.victim == victim).count();
        write!(words, " {victim:?} {times} times").unwrap();
    }
    words
}
