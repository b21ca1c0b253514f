//! Memory and processor time, read from `/proc` a few times a second: of this process, and of the server where it runs on
//! this machine. Elsewhere than on Linux there is nothing to read.

use std::collections::HashMap;
use std::fs;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

/// A finer interval would make this process itself busy: each look at the server reads every process's line.
const INTERVAL: Duration = Duration::from_millis(250);

/// What a process, or a family of processes, took.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Mean of resident memory, in bytes.
    pub memory_mean: f64,
    /// The most that was seen of it.
    pub memory_peak: u64,
    /// Time on processors, in user and kernel mode.
    pub cpu: Duration,
    /// The same over the time on the clock: 1 is one processor all the time.
    pub cpu_share: f64,
    /// How often it was looked at.
    pub samples: usize,
}

/// Looks until it is finished.
pub(super) struct Sampler {
    series: Arc<Mutex<[Series; 2]>>,
    whose: [Whose; 2],
    began: Instant,
    sampling: JoinHandle<()>,
}

/// Whose figures.
#[derive(Debug, Clone, Copy)]
enum Whose {
    This,
    /// The server whose postmaster has this process id; none where it is not on this machine.
    Server(Option<u32>),
}

/// One look.
#[derive(Debug, Clone, Copy)]
struct Look {
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
    /// `postmaster` is the server's first process, if it is on this machine.
    pub(super) fn start(postmaster: Option<u32>) -> Self {
        let whose = [Whose::This, Whose::Server(postmaster)];
        let series = Arc::<Mutex<[Series; 2]>>::default();
        look(whose, &series);
        let kept = Arc::clone(&series);
        let sampling = tokio::spawn(async move {
            let mut interval = tokio::time::interval(INTERVAL);
            loop {
                interval.tick().await;
                look(whose, &kept);
            }
        });
        Self { series, whose, began: Instant::now(), sampling }
    }

    /// Of this process, and of the server.
    pub(super) fn finish(self) -> (Option<Usage>, Option<Usage>) {
        look(self.whose, &self.series);
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

/// `/proc` counts hundredths of a second on every architecture that Linux still has.
const TICKS: f64 = 100.0;

fn look(whose: [Whose; 2], series: &Mutex<[Series; 2]>) {
    let looks = whose.map(|whose| match whose {
        Whose::This => this(),
        Whose::Server(postmaster) => postmaster.and_then(server),
    });
    let mut series = series.lock().unwrap_or_else(PoisonError::into_inner);
    for (series, look) in series.iter_mut().zip(looks) {
        let Some(look) = look else { continue };
        series.memory.push(look.memory);
        series.first_ticks.get_or_insert(look.ticks);
        series.last_ticks = look.ticks;
    }
}

/// This process.
fn this() -> Option<Look> {
    let stat = Stat::read("self")?;
    let memory = memory("self")?;
    Some(Look { memory: memory.own + memory.shared, ticks: stat.own_ticks })
}

/// The postmaster and its children. Memory that they share counts once: as much as the one that has touched most of it. Time of
/// children that have ended is in the postmaster's account.
fn server(postmaster: u32) -> Option<Look> {
    let mut look = Look { memory: 0, ticks: 0 };
    let mut shared = 0;
    for (process, stat) in processes() {
        let ticks = match (process == postmaster, stat.parent == postmaster) {
            (true, _) => stat.own_ticks + stat.ended_children_ticks,
            (_, true) => stat.own_ticks,
            _ => continue,
        };
        // One that ends right now has no memory any more.
        let memory = memory(&process.to_string()).unwrap_or_default();
        look = Look { memory: look.memory + memory.own, ticks: look.ticks + ticks };
        shared = shared.max(memory.shared);
    }
    (look.ticks > 0).then_some(Look { memory: look.memory + shared, ..look })
}

/// The parent of a server's process, if both really are what they should be: the number comes from the server, which may
/// live in another container.
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

/// What `/proc/…/stat` says.
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

    /// The name is in brackets and may itself hold some.
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
