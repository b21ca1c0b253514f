//! Samples memory and CPU time from `/proc`: of this process, and of the server if it runs on this machine. Only Linux has
//! `/proc`; on other systems nothing is measured.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

/// The sampling interval. A shorter one would load this process itself, because each sample of the server reads the status of
/// every process.
const INTERVAL: Duration = Duration::from_millis(250);

/// The resources used by a process or by a server with its children.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// The mean resident memory, in bytes.
    pub memory_mean: f64,
    /// The peak resident memory, in bytes.
    pub memory_peak: u64,
    /// The CPU time in user and kernel mode.
    pub cpu: Duration,
    /// CPU time divided by wall-clock time: 1 is one fully used CPU.
    pub cpu_share: f64,
    /// The number of samples.
    pub samples: usize,
}

/// Samples until it is finished or dropped.
pub(super) struct Sampler {
    series: Arc<Mutex<[Series; 2]>>,
    processes: [Process; 2],
    began: Instant,
    sampling: JoinHandle<()>,
}

/// The processes of a series.
#[derive(Debug, Clone, Copy)]
enum Process {
    This,
    /// The server whose postmaster has this process id; none if it runs on another machine.
    Server(Option<u32>),
}

/// One sample.
#[derive(Debug, Clone, Copy)]
struct Sample {
    memory: u64,
    ticks: u64,
}

#[derive(Debug, Default)]
struct Series {
    memory: Vec<u64>,
    first_ticks: Option<u64>,
    last_ticks: u64,
}

impl Sampler {
    /// `postmaster` is the process id of the postmaster, if it runs on this machine.
    pub(super) fn start(postmaster: Option<u32>) -> Self {
        let processes = [Process::This, Process::Server(postmaster)];
        let series = Arc::<Mutex<[Series; 2]>>::default();
        take_sample(processes, &series);
        let kept = Arc::clone(&series);
        let sampling = tokio::spawn(async move {
            let mut interval = tokio::time::interval(INTERVAL);
            loop {
                interval.tick().await;
                take_sample(processes, &kept);
            }
        });
        Self { series, processes, began: Instant::now(), sampling }
    }

    /// The usage of this process and of the server.
    pub(super) fn finish(self) -> (Option<Usage>, Option<Usage>) {
        take_sample(self.processes, &self.series);
        let time = self.began.elapsed();
        let series = self.series.lock().unwrap_or_else(PoisonError::into_inner);
        (series[0].usage(time), series[1].usage(time))
    }
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.sampling.abort();
    }
}

impl Series {
    fn usage(&self, time: Duration) -> Option<Usage> {
        let first = self.first_ticks?;
        let cpu = Duration::from_secs_f64(self.last_ticks.saturating_sub(first) as f64 / TICKS);
        Some(Usage {
            memory_mean: self.memory.iter().sum::<u64>() as f64 / self.memory.len() as f64,
            memory_peak: self.memory.iter().copied().max()?,
            cpu,
            cpu_share: cpu.as_secs_f64() / time.as_secs_f64(),
            samples: self.memory.len(),
        })
    }
}

/// The unit of `/proc`: hundredths of a second on every architecture that Linux supports.
const TICKS: f64 = 100.0;

fn take_sample(processes: [Process; 2], series: &Mutex<[Series; 2]>) {
    let samples = processes.map(|process| match process {
        Process::This => this(),
        Process::Server(postmaster) => postmaster.and_then(server),
    });
    let mut series = series.lock().unwrap_or_else(PoisonError::into_inner);
    for (series, sample) in series.iter_mut().zip(samples) {
        let Some(sample) = sample else { continue };
        series.memory.push(sample.memory);
        series.first_ticks.get_or_insert(sample.ticks);
        series.last_ticks = sample.ticks;
    }
}

/// Samples this process.
fn this() -> Option<Sample> {
    let stat = Stat::read("self")?;
    let memory = memory("self")?;
    Some(Sample { memory: memory.own + memory.shared, ticks: stat.own_ticks })
}

/// Samples the postmaster and its children. Shared memory counts once, with the largest amount that any of them has touched. The
/// CPU time of exited children is part of the postmaster's.
fn server(postmaster: u32) -> Option<Sample> {
    let mut sample = Sample { memory: 0, ticks: 0 };
    let mut shared = 0;
    for (process, stat) in processes() {
        let ticks = match (process == postmaster, stat.parent == postmaster) {
            (true, _) => stat.own_ticks + stat.ended_children_ticks,
            (_, true) => stat.own_ticks,
            _ => continue,
        };
        // A process that is exiting has no memory any more.
        let memory = memory(&process.to_string()).unwrap_or_default();
        sample = Sample { memory: sample.memory + memory.own, ticks: sample.ticks + ticks };
        shared = shared.max(memory.shared);
    }
    (sample.ticks > 0).then_some(Sample { memory: sample.memory + shared, ..sample })
}

/// The parent of a backend, if both are named `postgres`. The check is needed because the process id comes from the server,
/// which may run in another container.
pub(super) fn postmaster(backend: i32) -> Option<u32> {
    let stat = Stat::read(&backend.to_string())?;
    let parent = Stat::read(&stat.parent.to_string())?;
    (stat.name == "postgres" && parent.name == "postgres").then_some(stat.parent)
}

fn processes() -> HashMap<u32, Stat> {
    let Ok(entries) = fs::read_dir("/proc") else { return HashMap::new() };
    let number = |entry: fs::DirEntry| entry.file_name().to_str()?.parse::<u32>().ok();
    entries.flatten().filter_map(number).filter_map(|id| Some((id, Stat::read(&id.to_string())?))).collect()
}

/// The relevant fields of `/proc/…/stat`.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    name: String,
    parent: u32,
    own_ticks: u64,
    ended_children_ticks: u64,
}

impl Stat {
    fn read(process: &str) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{process}/stat")).ok()?)
    }

    /// Parses a line. The name is in parentheses and may itself contain parentheses.
    fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.rsplit_once(") ")?;
        let fields: Vec<&str> = after.split(' ').collect();
        let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
        Some(Self {
            name: before.split_once('(')?.1.to_owned(),
            parent: fields.get(1)?.parse().ok()?,
            own_ticks: number(11)? + number(12)?,
            ended_children_ticks: number(13)? + number(14)?,
        })
    }
}

/// Resident memory in bytes.
#[derive(Debug, Default)]
struct Memory {
    own: u64,
    shared: u64,
}

fn memory(process: &str) -> Option<Memory> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let bytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
    };
    Some(Memory { own: bytes("RssAnon:")?, shared: bytes("RssFile:")? + bytes("RssShmem:")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_line_of_stat() {
        let line = "4711 (a (strange) name) S 4242 1 1 0 -1 4194304 9 8 7 6 11 12 13 14 20 0 1 0 9 1 1 1";
        let expected = Stat { name: "a (strange) name".into(), parent: 4242, own_ticks: 23, ended_children_ticks: 27 };
        assert_eq!(Stat::parse(line), Some(expected));
        assert_eq!(Stat::parse("4711 (postgres) S"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_has_memory() {
        assert!(this().unwrap().memory > 0);
    }
}
