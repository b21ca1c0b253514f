//! Counters of a worker since its start, from its events.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::metric::{DURATION, HANDED_BACK, LOST, RECOVERED, REFUSED, RETRIES, START, TASKS};
use super::page::Page;
use crate::event::{Event, TaskName};
use crate::flow::Flow;

/// Upper bounds of the duration buckets in seconds, from a query to a program of half an hour.
const BOUNDS: [f64; 15] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];

/// Counters of a worker since its start.
pub(super) struct Counts {
    /// Seconds since 1970.
    started_at: f64,
    counted: Mutex<Counted>,
}

#[derive(Default)]
struct Counted {
    /// By flow and step. Every step with a handler has counters from the start, so that rates begin at 0.
    steps: BTreeMap<String, BTreeMap<String, StepCounts>>,
    /// By flow.
    returned: BTreeMap<String, u64>,
    requeued: u64,
    lost: u64,
    rejected: u64,
}

#[derive(Default)]
struct StepCounts {
    completed: u64,
    failed: u64,
    late: u64,
    retried: u64,
    durations: Durations,
}

#[derive(Default)]
struct Durations {
    /// The number of durations up to this bound that exceed the previous one.
    buckets: [u64; BOUNDS.len()],
    count: u64,
    /// Seconds.
    sum: f64,
}

impl Counts {
    pub(super) fn new(flows: &[Flow]) -> Self {
        let steps = flows.iter().map(|flow| {
            let steps = flow.steps.iter().map(|step| (step.slug.clone(), StepCounts::default()));
            (flow.slug.clone(), steps.collect())
        });
        let returned = flows.iter().map(|flow| (flow.slug.clone(), 0)).collect();
        let counted = Counted { steps: steps.collect(), returned, ..Counted::default() };
        Self { started_at: seconds_since_1970(), counted: Mutex::new(counted) }
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        // A panic between two additions leaves valid counters.
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, event: &Event) {
        // Frequent events without a counter: the lock is not taken.
        if matches!(event, Event::TaskStarted(_) | Event::TaskLogged { .. }) {
            return;
        }
        let mut counted = self.counted();
        match event {
            Event::TaskCompleted { task, duration } => counted.count(task, |step| {
                step.completed += 1;
                step.durations.add(*duration);
            }),
            Event::TaskFailed { task, duration, retries, .. } => counted.count(task, |step| {
                *(if *retries { &mut step.retried } else { &mut step.failed }) += 1;
                step.durations.add(*duration);
            }),
            Event::TaskLate(task) => counted.count(task, |step| step.late += 1),
            Event::TasksReturned { flow, tasks } => {
                *counted.returned.entry(flow.clone()).or_default() += *tasks as u64;
            }
            Event::Requeued { tasks } => counted.requeued += tasks.unsigned_abs(),
            Event::Disconnected { .. } | Event::NotConnected { .. } => counted.lost += 1,
            Event::Rejected { .. } => counted.rejected += 1,
            _ => {}
        }
    }

    pub(super) fn write(&self, page: &mut Page) {
        let counted = self.counted();
        page.value(&START, self.started_at);
        let mut tasks = page.metric(&TASKS);
        for (flow, step, counts) in counted.by_step() {
            for (outcome, count) in [("completed", counts.completed), ("failed", counts.failed), ("late", counts.late)]
            {
                tasks.value(&[flow, step, outcome], count as f64);
            }
        }
        let mut retries = page.metric(&RETRIES);
        for (flow, step, counts) in counted.by_step() {
            retries.value(&[flow, step], counts.retried as f64);
        }
        let mut durations = page.metric(&DURATION);
        for (flow, step, counts) in counted.by_step() {
            let Durations { count, sum, .. } = counts.durations;
            durations.histogram(&[flow, step], &counts.durations.cumulative(), count, sum);
        }
        let mut returned = page.metric(&HANDED_BACK);
        for (flow, tasks) in &counted.returned {
            returned.value(&[flow], *tasks as f64);
        }
        page.value(&RECOVERED, counted.requeued as f64);
        page.value(&LOST, counted.lost as f64);
        page.value(&REFUSED, counted.rejected as f64);
    }
}

impl Counted {
    fn by_step(&self) -> impl Iterator<Item = (&str, &str, &StepCounts)> {
        let flows = self.steps.iter();
        flows.flat_map(|(flow, steps)| steps.iter().map(|(step, counts)| (flow.as_str(), step.as_str(), counts)))
    }

    /// Counts an event of a task. Steps without handlers have no counters, so that only known names become labels.
    fn count(&mut self, task: &TaskName, count: impl FnOnce(&mut StepCounts)) {
        if let Some(counts) = self.steps.get_mut(&task.flow).and_then(|steps| steps.get_mut(&task.step)) {
            count(counts);
        }
    }
}

impl Durations {
    fn add(&mut self, duration: Duration) {
        let seconds = duration.as_secs_f64();
        self.count += 1;
        self.sum += seconds;
        if let Some(at) = BOUNDS.iter().position(|bound| seconds <= *bound) {
            self.buckets[at] += 1;
        }
    }

    /// The number of durations up to each bound.
    fn cumulative(&self) -> Vec<(f64, u64)> {
        let mut total = 0;
        let sums = self.buckets.iter().map(|count| {
            total += count;
            total
        });
        BOUNDS.iter().copied().zip(sums).collect()
    }
}

pub(super) fn seconds_since_1970() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
