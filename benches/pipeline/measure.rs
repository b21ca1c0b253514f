//! Whole processes, measured from outside.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The time and memory of one run of the program.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) wall: Duration,
    /// Time on processors, in user and kernel mode.
    pub(crate) cpu: Duration,
    /// Peak of resident memory, in MB.
    pub(crate) memory: u64,
}

/// Runs flowsmith in a project, discards its report and waits for its end.
pub(crate) fn flowsmith(project: &Path, arguments: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flowsmith"));
    command
        .args(arguments)
        .current_dir(project)
        .env_remove("DATABASE_URL")
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let start = Instant::now();
    let child = command.spawn().expect("flowsmith starts");
    watch(child, start, arguments)
}

/// Polls the figures of the process until it is a zombie: `wait` discards them.
fn watch(mut child: Child, start: Instant, arguments: &[&str]) -> Run {
    let process = format!("/proc/{}", child.id());
    let (mut memory, mut cpu) = (0, Duration::ZERO);
    let wall = loop {
        memory = memory.max(peak_memory(&process));
        let (ended, spent) = cpu_time(&process);
        cpu = cpu.max(spent);
        if ended {
            break start.elapsed();
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    let status = child.wait().expect("flowsmith ends");
    // 2: there are changes to compile or to apply.
    assert!(matches!(status.code(), Some(0 | 2)), "flowsmith {arguments:?} ended with {status}");
    Run { wall, cpu, memory }
}

fn peak_memory(process: &str) -> u64 {
    let status = fs::read_to_string(format!("{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or("0");
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or(0) / 1000
}

/// Whether the process has ended, and its processor time so far: fields 3, 14 and 15 of `stat`, in hundredths of a second.
fn cpu_time(process: &str) -> (bool, Duration) {
    let stat = fs::read_to_string(format!("{process}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
    let ticks = |index: usize| fields.get(index).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
    (fields.first().is_none_or(|state| *state == "Z"), Duration::from_millis(10 * (ticks(11) + ticks(12))))
}

/// Runs `run` several times and returns the median by wall time.
pub(crate) fn median(runs: usize, mut run: impl FnMut() -> Run) -> Run {
    let mut measured: Vec<Run> = (0..runs).map(|_| run()).collect();
    measured.sort_by_key(|run| run.wall);
    measured[runs / 2]
}
