//! The server's process: it ends when its owner does, and it is always waited for.

use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, test_kill_process, waitid};

use super::{Lifetime, ServerError};

/// How long an orderly stop may take (it writes a checkpoint), and then an immediate one.
const ORDERLY: Duration = Duration::from_secs(30);
const IMMEDIATE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// A child process that is stopped when this is dropped.
#[derive(Debug)]
pub(super) struct Process {
    id: u32,
    child: Arc<Mutex<Child>>,
}

impl Process {
    /// Starts a command that shuts down in order on SIGINT, as the PostgreSQL server does, out of reach of the
    /// terminal's Ctrl-C.
    ///
    /// The thread that spawns it lives as long as the child: on Linux, the signal at an owner's death is sent at the death
    /// of that very thread. It also reaps a child that crashed, whose process number would otherwise look alive to the
    /// next server on the same data.
    pub(super) fn spawn(mut command: Command, lifetime: Lifetime) -> io::Result<Self> {
        command.process_group(0);
        if lifetime == Lifetime::Owner {
            end_with_owner(&mut command, Signal::INT);
        }
        let (report, spawned) = mpsc::channel();
        thread::Builder::new().name("postgres-keeper".into()).spawn(move || {
            let child = command.spawn().map(|child| (child.id(), Arc::new(Mutex::new(child))));
            let kept = child.as_ref().ok().map(|(_, child)| Arc::clone(child));
            // Fails only when the owner is gone, and then there is nobody to tell.
            let _ = report.send(child);
            if let Some(child) = kept {
                reap(&child);
            }
        })?;
        let (id, child) = spawned.recv().map_err(io::Error::other)??;
        Ok(Self { id, child })
    }

    pub(super) fn id(&self) -> u32 {
        self.id
    }

    /// Lets it run on when this process ends.
    pub(super) fn leave(self) {
        std::mem::forget(self);
    }

    /// How it ended, if it has.
    pub(super) fn ended(&self) -> io::Result<Option<ExitStatus>> {
        hold(&self.child).try_wait()
    }

    /// Stops in order, within a bounded time; a process that does not is killed.
    ///
    /// # Errors
    /// [`ServerError::Killed`], where it had to be.
    pub(super) fn stop(&self) -> Result<(), ServerError> {
        if self.ended_within(Signal::INT, ORDERLY) {
            return Ok(());
        }
        if !self.ended_within(Signal::QUIT, IMMEDIATE) {
            self.ended_within(Signal::KILL, IMMEDIATE);
        }
        Err(ServerError::Killed { pid: self.id, waited: ORDERLY })
    }

    fn ended_within(&self, signal: Signal, patience: Duration) -> bool {
        {
            // Nobody reaps the child while this is held, so its number cannot have passed to another process.
            let mut child = hold(&self.child);
            if matches!(child.try_wait(), Ok(None)) {
                // Fails only when the process has ended in between, which the wait then finds.
                let _ = kill_process(Pid::from_child(&child), signal);
            }
        }
        poll(patience, || matches!(self.ended(), Ok(Some(_))).then_some(())).is_some()
    }
}

/// Waits for the end of a child without holding on to it, then takes note of it.
fn reap(child: &Mutex<Child>) {
    let id = Pid::from_child(&hold(child));
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while waitid(WaitId::Pid(id), ended).is_err_and(|error| error == Errno::INTR) {}
    // The status stays in the child for whoever asks.
    let _ = hold(child).try_wait();
}

/// A thread that panicked with the child in hand did no harm to it.
fn hold(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
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
#[expect(
    unsafe_code,
    reason = "only code between fork and exec can ask for the signal; it makes two system calls and allocates nothing"
)]
pub fn end_with_owner(command: &mut Command, signal: Signal) {
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
pub fn end_with_owner(_command: &mut Command, _signal: Signal) {}

/// Asks a server that is nobody's child here to shut down in order, and waits for its end.
///
/// # Errors
/// [`ServerError::Killed`], where it had to be killed.
pub(super) fn stop_other(pid: u32) -> Result<(), ServerError> {
    let Some(target) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(()) };
    for (signal, patience) in [(Signal::INT, ORDERLY), (Signal::QUIT, IMMEDIATE), (Signal::KILL, IMMEDIATE)] {
        // Fails only when the process has ended, which the wait then finds.
        let _ = kill_process(target, signal);
        if poll(patience, || (!is_alive(pid)).then_some(())).is_some() {
            return if signal == Signal::INT { Ok(()) } else { Err(ServerError::Killed { pid, waited: ORDERLY }) };
        }
    }
    Err(ServerError::Killed { pid, waited: ORDERLY })
}

/// Whether a process exists, whoever it belongs to.
pub(super) fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
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
        let process = Process::spawn(command, Lifetime::Owner).unwrap();
        let pid = process.id();
        assert!(is_alive(pid));
        process.stop().unwrap();
        assert!(!is_alive(pid));
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        assert_eq!(
            Process::spawn(Command::new("/nonexistent"), Lifetime::Owner).unwrap_err().kind(),
            io::ErrorKind::NotFound
        );
    }
}
