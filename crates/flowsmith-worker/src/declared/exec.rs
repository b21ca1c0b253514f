//! `exec` handlers: a program of this machine. The input comes on its standard input, the output is what it prints, and what
//! it says on its standard error goes to whoever runs the worker.
//!
//! It runs in a process group of its own, which is killed when the program ends, takes too long, or the worker gives up. Of a
//! worker that is itself killed, Linux kills the programs, but not what they have started in turn.

use std::process::Stdio;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join4};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::super::handler::{self, Context, HandlerError, Outcome};

/// The longest output, in bytes.
const LONGEST: u64 = 64 << 20;

/// The longest line of its standard error that is passed on in one piece, in bytes.
const LINE: u64 = 8 << 10;

/// Lines of its standard error that an error quotes.
const QUOTED: usize = 5;

/// A program and its arguments.
pub(in super::super) struct Exec {
    pub(in super::super) program: String,
    pub(in super::super) arguments: Vec<String>,
}

impl handler::Handle for Exec {
    fn handle(&self, input: String, context: Context) -> BoxFuture<'static, Outcome> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("FLOWSMITH_FLOW", &context.flow).env("FLOWSMITH_STEP", &context.step);
        command.env("FLOWSMITH_RUN_ID", &context.run_id).env("FLOWSMITH_TASK_INDEX", context.task_index.to_string());
        command.env("FLOWSMITH_ATTEMPT", context.attempt.to_string());
        command.env("FLOWSMITH_IDEMPOTENCY_KEY", context.idempotency_key());
        // Whoever spawns it is who must live on, and the threads of another runtime come and go.
        if matches!(Handle::current().runtime_flavor(), RuntimeFlavor::CurrentThread) {
            end_with_owner(command.as_std_mut(), Signal::KILL);
        }
        run(self.program.clone(), command, input, context)
            .map(|ended| ended.map_or_else(Outcome::Failed, Outcome::Output))
            .boxed()
    }
}

/// Kills the group when it is dropped: whatever the program has started and left behind goes with it.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Fails where nobody is left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn run(program: String, mut command: Command, input: String, context: Context) -> Result<String, HandlerError> {
    let mut child = command.spawn().map_err(|error| HandlerError::retry(format!("cannot run {program}: {error}")))?;
    let group = Group::of(&child);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let ended = async {
        let ended = child.wait().await;
        // What it has left running would keep the pipes open.
        drop(group);
        ended
    };
    let ((), printed, said, ended) = join4(feed(stdin, input), read(stdout), hear(stderr, &context), ended).await;
    let status = ended.map_err(|error| HandlerError::retry(format!("cannot wait for {program}: {error}")))?;
    if !status.success() {
        let said = if said.is_empty() { String::new() } else { format!(": {}", said.join("\n")) };
        return Err(HandlerError::retry(format!("{program} exited with {status}{said}")));
    }
    let printed =
        printed.map_err(|error| HandlerError::retry(format!("cannot read the output of {program}: {error}")))?;
    if printed.len() as u64 > LONGEST {
        return Err(HandlerError::last(format!("{program} printed more than {} MiB", LONGEST >> 20)));
    }
    super::json(&printed).map_err(|error| {
        HandlerError::retry(format!("the output of {program} is not JSON: {error}: {}", super::excerpt(&printed)))
    })
}

/// A program need not read its input.
async fn feed(stdin: Option<ChildStdin>, input: String) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input.as_bytes()).await;
    }
}

async fn read(stdout: Option<ChildStdout>) -> std::io::Result<Vec<u8>> {
    let mut printed = Vec::new();
    if let Some(mut stdout) = stdout {
        (&mut stdout).take(LONGEST + 1).read_to_end(&mut printed).await?;
        if printed.len() as u64 > LONGEST {
            // Nobody wants the rest, and the program must not wait for a reader.
            tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await?;
        }
    }
    Ok(printed)
}

/// Passes on what it says; the last lines.
async fn hear(stderr: Option<ChildStderr>, context: &Context) -> Vec<String> {
    let mut last: Vec<String> = Vec::new();
    let Some(stderr) = stderr else { return last };
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    while (&mut reader).take(LINE).read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        context.say(text.clone());
        last.push(text);
        if last.len() > QUOTED {
            last.remove(0);
        }
        line.clear();
    }
    last
}

/// Makes the kernel send `signal` to the program when the thread that spawns it dies, so that a worker killed by SIGKILL leaves
/// no program behind. Linux only.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "only code between fork and exec can request the signal")]
fn end_with_owner(command: &mut std::process::Command, signal: Signal) {
    use std::os::unix::process::CommandExt as _;

    let owner = Pid::from_raw(std::process::id().cast_signed());
    let request = move || {
        rustix::process::set_parent_process_death_signal(Some(signal))?;
        // The owner may have died before the signal was requested.
        if rustix::process::getppid() == owner { Ok(()) } else { Err(std::io::ErrorKind::NotFound.into()) }
    };
    // SAFETY: the closure makes only async-signal-safe calls (prctl, getppid) and touches no memory of the parent's threads.
    unsafe { command.pre_exec(request) };
}

#[cfg(not(target_os = "linux"))]
fn end_with_owner(_command: &mut std::process::Command, _signal: Signal) {}
