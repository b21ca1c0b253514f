//! The server process. It ends with its owner, and it is always reaped.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, test_kill_process, waitid};

use super::account::Account;
use super::{Lifetime, ServerError};

/// The time limits of a fast shutdown, which writes a checkpoint, and of the immediate shutdown that follows it.
const ORDERLY: Duration = Duration::from_secs(30);
const IMMEDIATE: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(10);

/// A child process that is stopped on drop.
#[derive(Debug)]
pub(super) struct Process {
    id: u32,
    child: Arc<Mutex<Child>>,
}

impl Process {
    /// Starts a command that shuts down on SIGINT, like the PostgreSQL server, in its own process group, so that Ctrl-C in the
    /// terminal does not reach it.
    ///
    /// The spawning thread lives as long as the child, because Linux sends the parent-death signal when that thread ends. The thread
    /// also reaps a crashed child, whose process id would otherwise look alive to the next server on the same data.
    pub(super) fn spawn(mut command: Command, lifetime: Lifetime) -> io::Result<Self> {
        command.process_group(0);
        if lifetime == Lifetime::Owner {
            end_with_owner(&mut command, Signal::INT);
        }
        let (report, spawned) = mpsc::channel();
        thread::Builder::new().name("postgres-keeper".into()).spawn(move || {
            let child = command.spawn().map(|child| (child.id(), Arc::new(Mutex::new(child))));
            let kept = child.as_ref().ok().map(|(_, child)| Arc::clone(child));
            // Fails only if the receiver is gone.
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

    /// Lets the process run beyond the end of this one.
    pub(super) fn leave(self) {
        std::mem::forget(self);
    }

    /// The exit status, if the process has ended.
    pub(super) fn ended(&self) -> io::Result<Option<ExitStatus>> {
        hold(&self.child).try_wait()
    }

    /// Stops the process within a bounded time, and kills it if it does not stop.
    ///
    /// # Errors
    /// [`ServerError::Killed`] if it had to be killed.
    pub(super) fn stop(&self) -> Result<(), ServerError> {
        if self.ended_within(Signal::INT, ORDERLY) {
            return Ok(());
        }
        if !self.ended_within(Signal::QUIT, IMMEDIATE) {
            self.ended_within(Signal::KILL, IMMEDIATE);
        }
        Err(ServerError::Killed { pid: self.id, waited: ORDERLY })
    }

    fn ended_within(&self, signal: Signal, timeout: Duration) -> bool {
        {
            // The child cannot be reaped while the lock is held, so its process id cannot belong to another process.
            let mut child = hold(&self.child);
            if matches!(child.try_wait(), Ok(None)) {
                // Fails only if the process has just ended, which the wait below detects.
                let _ = kill_process(Pid::from_child(&child), signal);
            }
        }
        poll(timeout, || matches!(self.ended(), Ok(Some(_))).then_some(())).is_some()
    }
}

/// Waits for the end of a child without holding the lock, then reaps it.
fn reap(child: &Mutex<Child>) {
    let id = Pid::from_child(&hold(child));
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    while waitid(WaitId::Pid(id), ended).is_err_and(|error| error == Errno::INTR) {}
    // `Child` keeps the status for later calls.
    let _ = hold(child).try_wait();
}

/// Locks the child. A panic of another holder leaves the child intact, so poisoning is ignored.
fn hold(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Process {
    fn drop(&mut self) {
        // Callers that need the result call `stop`.
        let _ = self.stop();
    }
}

/// Sends `signal` to the process of a command when the spawning thread ends, so that a killed owner leaves no process behind. Only
/// Linux supports this; on other systems the next start finds and uses the running server.
#[cfg(target_os = "linux")]
#[expect(
    unsafe_code,
    reason = "only code between fork and exec can ask for the signal; it makes two system calls and allocates nothing"
)]
pub fn end_with_owner(command: &mut Command, signal: Signal) {
    let owner = Pid::from_raw(std::process::id().cast_signed());
    let ask = move || {
        rustix::process::set_parent_process_death_signal(Some(signal))?;
        // The owner may have ended before the request.
        if rustix::process::getppid() == owner { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    };
    // SAFETY: the closure makes only async-signal-safe calls (prctl, getppid) and touches no memory of the parent's threads.
    unsafe { command.pre_exec(ask) };
}

#[cfg(not(target_os = "linux"))]
pub fn end_with_owner(_command: &mut Command, _signal: Signal) {}

/// A server that is not a child of this process.
pub(super) struct Other {
    pid: u32,
    target: Pid,
    /// Names the process even if it ends and another one gets its id.
    #[cfg(target_os = "linux")]
    handle: std::os::fd::OwnedFd,
}

impl Other {
    /// The process with this id, if it is the server of this user on this data folder.
    #[cfg(target_os = "linux")]
    pub(super) fn server(pid: u32, data: &Path, account: &Account) -> Option<Self> {
        use std::os::unix::fs::MetadataExt as _;
        let target = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
        // Opened before it is examined, so that the examined process is the one that is signalled.
        let handle = rustix::process::pidfd_open(target, rustix::process::PidfdFlags::empty()).ok()?;
        let about = Path::new("/proc").join(pid.to_string());
        let program = std::fs::read_link(about.join("exe")).ok()?;
        let program = program.file_name()?.to_string_lossy().into_owned();
        // A server whose program was upgraded has this suffix.
        let is_postgres = matches!(program.trim_end_matches(" (deleted)"), "postgres" | "postmaster");
        let is_own = std::fs::metadata(&about).ok()?.uid() == account.uid;
        // The server works in its data folder.
        let is_here = std::fs::read_link(about.join("cwd")).ok()? == data.canonicalize().ok()?;
        (is_postgres && is_own && is_here).then_some(Self { pid, target, handle })
    }

    /// The process with this id, if it is the server of this user on this data folder.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn server(pid: u32, data: &Path, account: &Account) -> Option<Self> {
        let target = i32::try_from(pid).ok().and_then(Pid::from_raw)?;
        let output = Command::new("ps").args(["-ww", "-o", "uid=,command=", "-p", &pid.to_string()]).output().ok()?;
        let line = String::from_utf8(output.stdout).ok()?;
        let (uid, command) = line.trim().split_once(' ')?;
        let (program, arguments) = command.trim().split_once(" -D ")?;
        let is_postgres = Path::new(program).file_name().is_some_and(|name| name == "postgres");
        let is_here = arguments.strip_prefix(data.to_str()?).is_some_and(|rest| rest.starts_with(" -k "));
        (is_postgres && is_here && uid.parse() == Ok(account.uid)).then_some(Self { pid, target })
    }

    fn signal(&self, signal: Signal) -> rustix::io::Result<()> {
        #[cfg(target_os = "linux")]
        return rustix::process::pidfd_send_signal(&self.handle, signal);
        #[cfg(not(target_os = "linux"))]
        return kill_process(self.target, signal);
    }

    /// Stops the server, and waits for its end.
    ///
    /// # Errors
    /// [`ServerError::Killed`] if it had to be killed.
    pub(super) fn stop(&self) -> Result<(), ServerError> {
        let pid = self.pid;
        for (signal, timeout) in [(Signal::INT, ORDERLY), (Signal::QUIT, IMMEDIATE), (Signal::KILL, IMMEDIATE)] {
            // Fails only if the process has ended, which the wait below detects.
            let _ = self.signal(signal);
            if poll(timeout, || (test_kill_process(self.target) == Err(Errno::SRCH)).then_some(())).is_some() {
                return if signal == Signal::INT { Ok(()) } else { Err(ServerError::Killed { pid, waited: ORDERLY }) };
            }
        }
        Err(ServerError::Killed { pid, waited: ORDERLY })
    }
}

/// Whether a process exists, of any user.
pub(super) fn is_alive(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| test_kill_process(pid) != Err(Errno::SRCH))
}

/// Polls until `ask` returns a value, for at most `timeout`.
pub(super) fn poll<T>(timeout: Duration, mut ask: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + timeout;
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
