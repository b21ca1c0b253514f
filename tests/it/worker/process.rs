//! A worker process.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{Fixture, WAIT_TIMEOUT};
use crate::fixture::command::Project;

/// A worker process with its log file. It is killed when it is dropped.
pub(crate) struct WorkerProcess(Child, PathBuf);

impl WorkerProcess {
    pub(crate) fn start(project: &Project, arguments: &[&str]) -> Self {
        let command = project.command(&[&["worker", "--verbose"], arguments].concat());
        Self::spawn(command, project.path("log"))
    }

    /// Starts a command that logs to this file.
    pub(crate) fn spawn(mut command: Command, log: PathBuf) -> Self {
        Self(command.stdout(Stdio::null()).stderr(File::create(&log).unwrap()).spawn().unwrap(), log)
    }

    /// The log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.1).unwrap()
    }

    /// Waits until the log contains a text.
    pub(crate) async fn wait_for_log(&self, text: &str) {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        while !self.log().contains(text) {
            assert!(Instant::now() < deadline, "not logged: {text}\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// The process id.
    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// The exit status, if the process has exited.
    pub(crate) fn exit_status(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().unwrap()
    }

    /// Waits until the process exits, with a timeout, and returns its exit code.
    pub(crate) async fn wait_for_exit(&mut self) -> Option<i32> {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        loop {
            if let Some(status) = self.exit_status() {
                return status.code();
            }
            assert!(Instant::now() < deadline, "the process is still running: {}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the process exits, and returns its exit code and log.
    pub(crate) fn exit(mut self) -> (Option<i32>, String) {
        let status = self.0.wait().unwrap();
        (status.code(), self.log())
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Backends of workers, stopped with SIGSTOP until this is dropped.
pub(crate) struct StoppedSessions(Vec<Pid>);

impl StoppedSessions {
    pub(crate) async fn all(fixture: &mut Fixture) -> Self {
        let sessions = "(select string_agg(pid::text, ' ') from pg_stat_activity
                          where application_name in ('flowsmith worker', 'flowsmith triggers') and datname = current_database())";
        let pids = fixture.text(sessions).await;
        let pids: Vec<Pid> = pids.split(' ').map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect();
        pids.iter().for_each(|pid| kill_process(*pid, Signal::STOP).unwrap());
        Self(pids)
    }
}

impl Drop for StoppedSessions {
    fn drop(&mut self) {
        self.0.iter().for_each(|pid| kill_process(*pid, Signal::CONT).unwrap_or_default());
    }
}
