//! Worker processes, half of them directly on the server and half of them behind the pooler.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::stage::Stage;
use crate::worker::PATIENCE;
use crate::worker::process::Running;

const WORKERS: usize = 4;

pub(super) struct Crew {
    members: Vec<Member>,
    hired: usize,
    /// Names of those that were killed.
    pub(super) dead: Vec<String>,
    /// Tasks in the hands of the dead.
    pub(super) orphans: usize,
    /// Those that could not begin, because there was no database at that moment.
    refused: usize,
}

/// Whether it has registered, and so loses the database with patience.
fn has_begun(process: &Running) -> bool {
    process.said().contains(" working on ")
}

struct Member {
    /// In `pgflow.workers`.
    name: String,
    is_pooled: bool,
    process: Running,
}

impl Crew {
    pub(super) fn hire_all(stage: &Stage) -> Self {
        let mut crew = Self { members: Vec::new(), hired: 0, dead: Vec::new(), orphans: 0, refused: 0 };
        for n in 0..WORKERS {
            let member = crew.hire(stage, n % 2 == 1);
            crew.members.push(member);
        }
        crew
    }

    fn hire(&mut self, stage: &Stage, is_pooled: bool) -> Member {
        self.hired += 1;
        let name = format!("w{}", self.hired);
        let url = if is_pooled { stage.pooler.url.clone() } else { stage.server.url() };
        let sizes = ["--concurrency", "20", "--batch", "5"];
        let command = stage.project.command(&[&["worker", "--name", &name, "--database", &url][..], &sizes].concat());
        let process = Running::spawn(command, stage.project.path(&format!("{name}.log")));
        Member { name, is_pooled, process }
    }

    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn name(&self, member: usize) -> &str {
        &self.members[member].name
    }

    /// Kills one, and starts another in its place.
    pub(super) fn replace(&mut self, stage: &Stage, member: usize) {
        self.members[member].process.signal(Signal::KILL);
        let next = self.hire(stage, self.members[member].is_pooled);
        let killed = std::mem::replace(&mut self.members[member], next);
        self.dead.push(killed.name);
        assert_eq!(killed.process.end().0, None, "it was not killed");
    }

    /// Starts those again that have not found a database when they began, as whatever supervises workers does. One that has
    /// begun to work ends for nothing that happens here.
    pub(super) fn supervise(&mut self, stage: &Stage) {
        for member in 0..self.members.len() {
            let Some(status) = self.members[member].process.ended() else { continue };
            let &Member { ref name, is_pooled, ref process } = &self.members[member];
            let (said, code) = (process.said(), status.code());
            assert!(code == Some(1) && !has_begun(process), "worker {name} has ended with {status}: {said}");
            self.members[member] = self.hire(stage, is_pooled);
            self.refused += 1;
        }
    }

    /// How many signs there are that those behind the pooler have lost it. A loss soon after another one is told by the attempts
    /// to connect that fail.
    pub(super) fn losses(&self) -> usize {
        let pooled = self.members.iter().filter(|member| member.is_pooled);
        let signs = |member: &Member| {
            let said = member.process.said();
            said.matches("connection lost").count() + said.matches("cannot connect to").count()
        };
        pooled.map(signs).sum::<usize>() + self.refused
    }

    /// Has all of them end, in order, once all of them work.
    pub(super) async fn dismiss(&mut self, stage: &Stage) {
        let deadline = Instant::now() + PATIENCE;
        while !self.members.iter().all(|member| has_begun(&member.process)) {
            assert!(Instant::now() < deadline, "not all of them begin\n{}", self.last_words());
            self.supervise(stage);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        for member in &self.members {
            member.process.signal(Signal::TERM);
        }
        let deadline = Instant::now() + PATIENCE;
        for Member { name, process, .. } in &mut self.members {
            let status = loop {
                if let Some(status) = process.ended() {
                    break status;
                }
                assert!(Instant::now() < deadline, "worker {name} does not end: {}", process.said());
                tokio::time::sleep(Duration::from_millis(10)).await;
            };
            assert_eq!(status.code(), Some(0), "worker {name}: {}", process.said());
        }
    }

    pub(super) fn in_words(&self) -> String {
        format!(
            "{} worker processes, {} tasks in the hands of killed ones, {} found no database at their start",
            self.hired, self.orphans, self.refused
        )
    }

    /// What each has said last.
    pub(super) fn last_words(&self) -> String {
        let mut words = String::new();
        for Member { name, process, .. } in &self.members {
            let said = process.said();
            let lines: Vec<&str> = said.lines().collect();
            write!(words, "{name} last said\n  {}\n", lines[lines.len().saturating_sub(5)..].join("\n  ")).unwrap();
        }
        words
    }
}
