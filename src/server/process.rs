//! The server's process: it ends when its owner does, and it is always waited for.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::ServerError;

/// How long an orderly stop may take (it writes a checkpoint), and then an immediate one.
const ORDERLY: Duration = Duration::from_secs(30);
const IMMEDIATE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// A child process that is stopped when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    /// Keeps the thread that spawned the child: on Linux, the signal at an owner's death is sent at the death of that
    /// very thread.
    _keeper: Sender<()>,
}

impl Process {
    /// Starts a command that shuts down in order on SIGINT, as the PostgreSQL server does, out of reach of the
    /// terminal's Ctrl-C.
    pub(super) fn spawn(mut command: Command) -> io::Result<Self> {
        command.process_group(0);
        end_with_owner(&mut command, Signal::INT);
        let (report, spawned) = mpsc::channel();
        let (keeper, release) = mpsc::channel::<()>();
        thread::Builder::new().name("postgres-keeper".into()).spawn(move || {
            // Both fail only when the owner is gone, and then there is nobody to tell.
            let _ = report.send(command.spawn());
            let _ = release.recv();
        })?;
        let child = spawned.recv().map_err(io::Error::other)??;
        Ok(Self { child, _keeper: keeper })
    }

    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Stops in order, within a bounded time; a process that does not is killed.
    ///
    /// # Errors
    /// [`ServerError::Killed`], where it had to be.
    pub(super) fn stop(&mut self) -> Result<(), ServerError> {
        for (signal, patience) in [(Signal::INT, ORDERLY), (Signal::QUIT, IMMEDIATE)] {
            if self.ended_within(signal, patience) {
                return if signal == Signal::INT { Ok(()) } else { Err(self.killed()) };
            }
        }
        self.ended_within(Signal::KILL, IMMEDIATE);
        Err(self.killed())
    }

    fn ended_within(&mut self, signal: Signal, patience: Duration) -> bool {
        if matches!(self.ended(), Ok(Some(_))) {
            return true;
        }
        // Fails only when the process has ended in between, which the wait then finds.
        let _ = kill_process(Pid::from_child(&self.child), signal);
        poll(patience, || matches!(self.ended(), Ok(Some(_))).then_some(())).is_some()
    }

    fn killed(&self) -> ServerError {
        ServerError::Killed { pid: self.id(), waited: ORDERLY }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A caller who wants to know calls `stop` first.
        let _ = self.stop();
    }
}

/// Makes a command's process get `signal` when the thread that spawns it dies, so that nothing is left behind by an owner that was
/// killed. Only Linux can; elsewhere the next start finds the server running and uses it.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "only code between fork and exec can ask for the signal; it makes two system calls and allocates nothing")]
pub(super) fn end_with_owner(command: &mut Command, signal: Signal) {
    let owner = Pid::from_raw(std::process::id().cast_signed());
    let ask = move || {
        rustix::process::set_parent_process_death_signal(Some(signal))?;
        // The owner may have died before the signal was asked for.
        if rustix::process::getppid() == owner { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    };
    // SAFETY: the closure makes only async-signal-safe calls (prctl, getppid) and touches no memory of the parent's threads.
    unsafe { command.pre_exec(ask) };
}

#[cfg(not(target_os = "linux"))]
pub(super) fn end_with_owner(_command: &mut Command, _signal: Signal) {}

/// Whether a process exists, whoever it belongs to.
pub(super) fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(rustix::io::Errno::SRCH))
}

/// Asks until there is an answer, for at most `patience`.
pub(super) fn poll<T>(patience: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        if Instant::now() >= deadline {
            return None;
        }
        thread::sleep(POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stopping_waits_for_the_process_to_end() {
        let mut command = Command::new("sh");
        command.args(["-c", "trap 'exit 0' INT; while :; do sleep 0.01; done"]);
        let mut process = Process::spawn(command).unwrap();
        let pid = process.id();
        assert!(is_alive(pid));
        process.stop().unwrap();
        assert!(!is_alive(pid));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        assert_eq!(Process::spawn(Command::new("/nonexistent")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
