//! `exec` handlers run a program. It reads the input from its standard input and prints the output; the worker logs its standard
//! error.
//!
//! Each program runs in a separate process group, which is killed when the program ends, at the timeout, and when the worker
//! cancels its tasks. If the worker itself is killed, Linux kills the programs, but not the processes that they started.

use std::process::Stdio;

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, join4};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::runtime::{Handle, RuntimeFlavor};

use super::json;
use crate::handler::{Context, Handler};
use crate::outcome::{HandlerError, Outcome};

/// The largest output in bytes.
const MAX_OUTPUT: u64 = 64 << 20;

/// The longest line of standard error in bytes. Longer lines are split.
const MAX_LINE: usize = 8 << 10;

/// The number of lines of standard error that an error quotes.
const QUOTED_LINES: usize = 5;

/// A program with its arguments.
pub(super) struct Exec {
    pub(super) program: String,
    pub(super) arguments: Vec<String>,
}

impl Handler for Exec {
    fn handle(&self, input: String, context: Context) -> BoxFuture<'static, Outcome> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env("FLOWSMITH_FLOW", &context.flow).env("FLOWSMITH_STEP", &context.step);
        command.env("FLOWSMITH_RUN_ID", &context.run_id).env("FLOWSMITH_TASK_INDEX", context.task_index.to_string());
        command.env("FLOWSMITH_ATTEMPT", context.attempt.to_string());
        command.env("FLOWSMITH_IDEMPOTENCY_KEY", context.idempotency_key());
        // The kernel watches the thread that spawns the program, and threads of a multi-threaded runtime come and go.
        if matches!(Handle::current().runtime_flavor(), RuntimeFlavor::CurrentThread) {
            kill_with_parent(command.as_std_mut(), Signal::KILL);
        }
        run(self.program.clone(), command, input, context)
            .map(|ended| ended.map_or_else(Outcome::Failed, Outcome::Output))
            .boxed()
    }
}

/// A process group, which is killed when it is dropped.
struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    fn of(child: &Child) -> Self {
        Self(child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)))
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Fails if all of its processes have ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

async fn run(program: String, mut command: Command, input: String, context: Context) -> Result<String, HandlerError> {
    let mut child = command.spawn().map_err(|error| HandlerError::retry(format!("cannot run {program}: {error}")))?;
    let group = ProcessGroup::of(&child);
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let ended = async {
        let ended = child.wait().await;
        // Remaining processes of the group would keep the pipes open.
        drop(group);
        ended
    };
    let ((), printed, logged, ended) =
        join4(write_input(stdin, input), read_output(stdout), log_stderr(stderr, &context), ended).await;
    let status = ended.map_err(|error| HandlerError::retry(format!("cannot wait for {program}: {error}")))?;
    if !status.success() {
        let logged = if logged.is_empty() { String::new() } else { format!(": {}", logged.join("\n")) };
        return Err(HandlerError::retry(format!("{program} exited with {status}{logged}")));
    }
    let printed =
        printed.map_err(|error| HandlerError::retry(format!("cannot read the output of {program}: {error}")))?;
    if printed.len() as u64 > MAX_OUTPUT {
        return Err(HandlerError::permanent(format!("{program} printed more than {} MiB", MAX_OUTPUT >> 20)));
    }
    json::parse(&printed).map_err(|error| {
        let excerpt = json::excerpt(&printed, &context.services.secrets);
        HandlerError::retry(format!("the output of {program} is not JSON: {error}: {excerpt}"))
    })
}

/// Writes the input. Errors are ignored, because a program need not read its input.
async fn write_input(stdin: Option<ChildStdin>, input: String) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(input.as_bytes()).await;
    }
}

async fn read_output(stdout: Option<ChildStdout>) -> std::io::Result<Vec<u8>> {
    let mut printed = Vec::new();
    if let Some(mut stdout) = stdout {
        (&mut stdout).take(MAX_OUTPUT + 1).read_to_end(&mut printed).await?;
        if printed.len() as u64 > MAX_OUTPUT {
            // The rest is discarded, so that the program does not block on a full pipe.
            tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await?;
        }
    }
    Ok(printed)
}

/// Logs standard error line by line, and returns the last lines.
async fn log_stderr(stderr: Option<ChildStderr>, context: &Context) -> Vec<String> {
    let mut last: Vec<String> = Vec::new();
    let Some(stderr) = stderr else { return last };
    let secrets = &context.services.secrets;
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        // More than a line, to find a secret where a line is split.
        let room = (MAX_LINE + secrets.margin() - line.len()) as u64;
        if !line.ends_with(b"\n") {
            let _ = (&mut reader).take(room).read_until(b'\n', &mut line).await;
        }
        if line.is_empty() {
            break;
        }
        let (text, end) = secrets.redact_start(&line, MAX_LINE);
        line.drain(..end);
        let text = text.trim_end().to_owned();
        context.log(text.clone());
        last.push(text);
        if last.len() > QUOTED_LINES {
            last.remove(0);
        }
    }
    last
}

/// Makes the kernel send `signal` to the program when the thread that spawns it ends, so that no program outlives a worker that
/// is killed by SIGKILL. Linux only.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "only code between fork and exec can request the signal")]
fn kill_with_parent(command: &mut std::process::Command, signal: Signal) {
    use std::os::unix::process::CommandExt as _;

    let parent = Pid::from_raw(std::process::id().cast_signed());
    let request = move || {
        rustix::process::set_parent_process_death_signal(Some(signal))?;
        // The parent may have died before the signal was requested.
        if rustix::process::getppid() == parent { Ok(()) } else { Err(std::io::ErrorKind::NotFound.into()) }
    };
    // SAFETY: the closure makes only async-signal-safe calls (prctl, getppid) and touches no memory of the parent's threads.
    unsafe { command.pre_exec(request) };
}

#[cfg(not(target_os = "linux"))]
fn kill_with_parent(_command: &mut std::process::Command, _signal: Signal) {}
