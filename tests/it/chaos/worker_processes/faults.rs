//! The plan of faults: which process is killed, and when.

use std::fmt::Write as _;

use super::Size;

/// The process to kill with SIGKILL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    /// A worker, which is replaced by another one.
    Worker,
    /// The server with all of its backends, which is then restarted.
    Server,
    /// The pooler, which is restarted after its workers have noticed.
    Pooler,
}

const TARGETS: [Target; 3] = [Target::Worker, Target::Server, Target::Pooler];

/// A fault that occurs when this number of runs has completed.
pub(super) struct Fault {
    pub(super) at: usize,
    pub(super) target: Target,
}

/// All faults of a test run in order, spread over nine tenths of the runs.
pub(super) fn plan(size: Size) -> Vec<Fault> {
    let mut random = size.random(1);
    let counts = [(size.runs / 500).max(2), 1 + size.runs / 10_000, 1 + size.runs / 10_000];
    let mut targets: Vec<Target> =
        TARGETS.iter().zip(counts).flat_map(|(target, count)| vec![*target; count]).collect();
    for last in (1..targets.len()).rev() {
        targets.swap(last, random.below(last + 1));
    }
    let part = (size.runs * 9 / 10 / targets.len()).max(1);
    targets.iter().zip(0..).map(|(&target, n)| Fault { at: n * part + random.below(part), target }).collect()
}

pub(super) fn summary(faults: &[Fault]) -> String {
    let mut summary = "killed:".to_owned();
    for target in TARGETS {
        let times = faults.iter().filter(|fault| fault.target == target).count();
        write!(summary, " {target:?} {times} times").unwrap();
    }
    summary
}
