//! Worker processes, half of them connected directly and half of them through the pooler.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::fixture::Fixture;
use crate::worker::WAIT_TIMEOUT;
use crate::worker::process::WorkerProcess;

const COUNT: usize = 4;

pub(super) struct Workers {
    workers: Vec<Worker>,
    /// The number of processes started so far.
    started: usize,
    /// The names of killed workers.
    pub(super) killed: Vec<String>,
    /// The number of tasks that killed workers had claimed.
    pub(super) orphans: usize,
    /// The number of processes that found no database at their start.
    without_database: usize,
}

/// Whether the worker has registered. From then on, it reconnects after every loss.
fn has_registered(process: &WorkerProcess) -> bool {
    process.log().contains(" working on ")
}

struct Worker {
    /// The name in `pgflow.workers`.
    name: String,
    is_pooled: bool,
    process: WorkerProcess,
}

impl Workers {
    pub(super) fn start_all(fixture: &Fixture) -> Self {
        let mut all = Self { workers: Vec::new(), started: 0, killed: Vec::new(), orphans: 0, without_database: 0 };
        for n in 0..COUNT {
            let worker = all.start(fixture, n % 2 == 1);
            all.workers.push(worker);
        }
        all
    }

    fn start(&mut self, fixture: &Fixture, is_pooled: bool) -> Worker {
        self.started += 1;
        let name = format!("w{}", self.started);
        let url = if is_pooled { fixture.pooler.url.clone() } else { fixture.server.url() };
        let sizes = ["--concurrency", "20", "--batch", "5"];
        let command = fixture.project.command(&[&["worker", "--name", &name, "--database", &url][..], &sizes].concat());
        let process = WorkerProcess::spawn(command, fixture.project.path(&format!("{name}.log")));
        Worker { name, is_pooled, process }
    }

    pub(super) fn len(&self) -> usize {
        self.workers.len()
    }

    pub(super) fn name(&self, at: usize) -> &str {
        &self.workers[at].name
    }

    /// Kills a worker and starts another one.
    pub(super) fn replace(&mut self, fixture: &Fixture, at: usize) {
        self.workers[at].process.signal(Signal::KILL);
        let next = self.start(fixture, self.workers[at].is_pooled);
        let killed = std::mem::replace(&mut self.workers[at], next);
        self.killed.push(killed.name);
        assert_eq!(killed.process.exit().0, None, "the worker was not killed");
    }

    /// Restarts workers that found no database at their start, as a supervisor does. A registered worker must not exit.
    pub(super) fn supervise(&mut self, fixture: &Fixture) {
        for at in 0..self.workers.len() {
            let Some(status) = self.workers[at].process.exit_status() else { continue };
            let &Worker { ref name, is_pooled, ref process } = &self.workers[at];
            let (log, code) = (process.log(), status.code());
            assert!(code == Some(1) && !has_registered(process), "worker {name} exited with {status}: {log}");
            self.workers[at] = self.start(fixture, is_pooled);
            self.without_database += 1;
        }
    }

    /// The number of log lines and restarts that show a loss of the pooler. A loss shortly after another one is not logged, but
    /// failed attempts to connect are.
    pub(super) fn losses(&self) -> usize {
        let pooled = self.workers.iter().filter(|worker| worker.is_pooled);
        let losses = |worker: &Worker| {
            let log = worker.process.log();
            log.matches("connection lost").count() + log.matches("cannot connect to").count()
        };
        pooled.map(losses).sum::<usize>() + self.without_database
    }

    /// Stops all workers after all of them have registered.
    pub(super) async fn stop_all(&mut self, fixture: &Fixture) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while !self.workers.iter().all(|worker| has_registered(&worker.process)) {
            assert!(Instant::now() < deadline, "some workers do not register\n{}", self.last_lines());
            self.supervise(fixture);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for worker in &self.workers {
            worker.process.signal(Signal::TERM);
        }
        let deadline = Instant::now() + WAIT_TIMEOUT;
        for Worker { name, process, .. } in &mut self.workers {
            let status = loop {
                if let Some(status) = process.exit_status() {
                    break status;
                }
                assert!(Instant::now() < deadline, "worker {name} does not exit: {}", process.log());
                tokio::time::sleep(Duration::from_millis(10)).await;
            };
            assert_eq!(status.code(), Some(0), "worker {name}: {}", process.log());
        }
    }

    pub(super) fn summary(&self) -> String {
        format!(
            "{} worker processes, {} tasks claimed by killed ones, {} found no database at their start",
            self.started, self.orphans, self.without_database
        )
    }

    /// The last lines of each worker's log.
    pub(super) fn last_lines(&self) -> String {
        let mut text = String::new();
        for Worker { name, process, .. } in &self.workers {
            let log = process.log();
            let lines: Vec<&str> = log.lines().collect();
            write!(text, "{name} logged last\n  {}\n", lines[lines.len().saturating_sub(5)..].join("\n  ")).unwrap();
        }
        text
    }
}
