//! Figures by scenario and contender, and the ratios that count.

use crate::contender::Contender;

/// What is measured of a contender.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Metric {
    /// Tasks (or runs, where runs are started) in a second.
    Rate,
    /// Bytes of write-ahead log for each.
    Wal,
    /// Milliseconds of the server's processor time for each.
    Cpu,
    /// Milliseconds for the first of many completions.
    First,
    /// … for those just before the last.
    LastButOne,
    /// … for the last, which ends the run.
    Last,
}

impl Metric {
    fn unit(self) -> &'static str {
        match self {
            Self::Rate => "/s",
            Self::Wal => " B of WAL each",
            Self::Cpu => " ms of CPU each",
            Self::First => " ms for the first",
            Self::LastButOne => " ms for the last but one",
            Self::Last => " ms for the last",
        }
    }
}

/// What a ratio should be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    AtLeast(f64),
    AtMost(f64),
    /// To compare with.
    None,
}

/// The values of every round.
struct Row {
    scenario: String,
    contender: Contender,
    metric: Metric,
    values: Vec<f64>,
}

/// Which row.
pub(crate) type Key<'a> = (&'a str, Contender, Metric);

/// All figures, in the order in which they came.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

impl Table {
    pub(crate) fn add(&mut self, (scenario, contender, metric): Key<'_>, value: f64) {
        let scenario = scenario.to_owned();
        match self.rows.iter_mut().find(|row| row.is((&scenario, contender, metric))) {
            Some(row) => row.values.push(value),
            None => self.rows.push(Row { scenario, contender, metric, values: vec![value] }),
        }
    }

    /// Every row of a scenario, a contender a line.
    pub(crate) fn print(&self, scenario: &str) {
        println!("{scenario}");
        let mut last = None;
        for row in self.rows.iter().filter(|row| row.scenario == scenario) {
            let name = if last == Some(row.contender) { "" } else { row.contender.name() };
            last = Some(row.contender);
            println!("  {name:18} {:>9}{:26} {}", figure(median(&row.values)), row.metric.unit(), spread(&row.values));
        }
    }

    /// One row over another, round by round, since the two of a round met the same machine.
    pub(crate) fn print_ratio(&self, what: &str, over: Key<'_>, under: Key<'_>, goal: Goal) {
        let find = |key| self.rows.iter().find(|row| row.is(key));
        let (Some(over), Some(under)) = (find(over), find(under)) else { return };
        let ratios: Vec<f64> = over.values.iter().zip(&under.values).map(|(over, under)| over / under).collect();
        let ratio = median(&ratios);
        let (goal, met) = match goal {
            Goal::AtLeast(goal) => (format!("target ≥ {goal}"), ratio >= goal),
            Goal::AtMost(goal) => (format!("target ≤ {goal}"), ratio <= goal),
            Goal::None => return println!("  {what:45} {ratio:>6.2}  {}", spread(&ratios)),
        };
        let met = if met { "met" } else { "MISSED" };
        println!("  {what:45} {ratio:>6.2}  {:20} {goal:13} {met}", spread(&ratios));
    }
}

impl Row {
    fn is(&self, (scenario, contender, metric): Key<'_>) -> bool {
        self.scenario == scenario && self.contender == contender && self.metric == metric
    }
}

fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) }
}

/// The least and the greatest.
fn spread(values: &[f64]) -> String {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let greatest = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("({} – {})", figure(least), figure(greatest))
}

fn figure(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.2}")
    } else if value < 100.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}
