//! A worker process.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{PATIENCE, Scene};
use crate::fixture::command::Project;

/// A worker process and the file of its log, killed at the latest when it is dropped.
pub(super) struct Running(Child, PathBuf);

impl Running {
    pub(super) fn start(project: &Project, arguments: &[&str]) -> Self {
        let command = project.command(&[&["worker", "--verbose"], arguments].concat());
        Self::spawn(command, project.path("log"))
    }

    /// A command that logs to a file.
    pub(super) fn spawn(mut command: Command, log: PathBuf) -> Self {
        Self(command.stdout(Stdio::null()).stderr(File::create(&log).unwrap()).spawn().unwrap(), log)
    }

    /// What it has said.
    pub(super) fn said(&self) -> String {
        fs::read_to_string(&self.1).unwrap()
    }

    /// Waits until it has said something.
    pub(super) async fn says(&self, words: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.said().contains(words) {
            assert!(Instant::now() < deadline, "never said: {words}\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Its process.
    pub(super) fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// Waits until it ends by itself: its exit code.
    pub(super) async fn ends(&mut self) -> Option<i32> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.ended() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "it goes on: {}", self.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Its exit code and what it said.
    pub(super) fn end(mut self) -> (Option<i32>, String) {
        let status = self.0.wait().unwrap();
        (status.code(), self.said())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sessions of workers that are stopped, until this is dropped.
pub(super) struct Silent(Vec<Pid>);

impl Silent {
    pub(super) async fn all(scene: &mut Scene) -> Self {
        let sessions = "(select string_agg(pid::text, ' ') from pg_stat_activity
                          where application_name in ('flowsmith worker', 'flowsmith starter') and datname = current_database())";
        let pids = scene.text(sessions).await;
        let pids: Vec<Pid> = pids.split(' ').map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect();
        pids.iter().for_each(|pid| kill_process(*pid, Signal::STOP).unwrap());
        Self(pids)
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.0.iter().for_each(|pid| kill_process(*pid, Signal::CONT).unwrap_or_default());
    }
}
