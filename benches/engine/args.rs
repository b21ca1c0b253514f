//! The arguments of the benchmark.

use clap::{Parser, ValueEnum};

use crate::contender::Contender;
use crate::shape::Shape;

/// Measures the engine beside pgmq alone and the official 0.8.1.
#[derive(Debug, Parser)]
pub(crate) struct Args {
    /// Only these scenarios, separated by commas
    #[arg(long, value_delimiter = ',')]
    scenario: Vec<Scenario>,
    /// Only these contenders, separated by commas
    #[arg(long, value_delimiter = ',')]
    contender: Vec<Contender>,
    /// How often each is measured [default: 5, quick: 3]
    #[arg(long)]
    rounds: Option<usize>,
    /// Fewer tasks, fewer rounds, without `list200`, `history` and `last`: one to two minutes
    #[arg(long)]
    quick: bool,
    /// Tasks of a measurement, about [default: 6000, quick: 2000]
    #[arg(long)]
    tasks: Option<usize>,
    /// Connections that process, and that start runs
    #[arg(long, default_value_t = 4)]
    pub(crate) workers: usize,
    /// Messages read at once
    #[arg(long, default_value_t = 10)]
    pub(crate) batch: i32,
    /// The server's synchronous_commit, the same for all
    #[arg(long, default_value = "off", value_parser = ["on", "off"])]
    pub(crate) synchronous_commit: String,
    /// Whether events are sent, by NOTIFY: the same for both engines
    #[arg(long, default_value = "on", value_parser = ["on", "off"])]
    pub(crate) events: String,
    /// Finished tasks for `history`
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) history: usize,
    /// Tasks of the one map of `last`
    #[arg(long, default_value_t = 10_000)]
    pub(crate) map: usize,
    /// Print where the time goes, by function (this alone costs some of it)
    #[arg(long)]
    pub(crate) functions: bool,
    /// What cargo passes
    #[arg(long, hide = true)]
    bench: bool,
}

/// A scenario.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    Single,
    Chain,
    Fan,
    Map200,
    Map2000,
    /// A step that returns an array, and a map over it.
    List200,
    List2000,
    /// The rate of `start_flow`.
    Start,
    /// Chains beside a million finished tasks, against chains in empty tables.
    History,
    /// The cost of the first and the last completions of a large map.
    Last,
}

impl Scenario {
    /// The shape of its runs, if the scenario measures their processing.
    pub(crate) fn shape(self) -> Option<Shape> {
        match self {
            Self::Single => Some(Shape::Single),
            Self::Chain => Some(Shape::Chain(5)),
            Self::Fan => Some(Shape::Fan(20)),
            Self::Map200 => Some(Shape::Map(200)),
            Self::Map2000 => Some(Shape::Map(2000)),
            Self::List200 => Some(Shape::ListMap(200)),
            Self::List2000 => Some(Shape::ListMap(2000)),
            Self::Start | Self::History | Self::Last => None,
        }
    }
}

impl Args {
    pub(crate) fn rounds(&self) -> usize {
        self.rounds.unwrap_or(if self.quick { 3 } else { 5 }).max(1)
    }

    pub(crate) fn tasks(&self) -> usize {
        self.tasks.unwrap_or(if self.quick { 2_000 } else { 6_000 })
    }

    pub(crate) fn scenarios(&self) -> Vec<Scenario> {
        let asked = |scenario: &Scenario| {
            if self.scenario.is_empty() {
                !self.quick || !matches!(scenario, Scenario::List200 | Scenario::History | Scenario::Last)
            } else {
                self.scenario.contains(scenario)
            }
        };
        Scenario::value_variants().iter().copied().filter(asked).collect()
    }

    pub(crate) fn contenders(&self) -> Vec<Contender> {
        let asked = |contender: &Contender| self.contender.is_empty() || self.contender.contains(contender);
        Contender::value_variants().iter().copied().filter(asked).collect()
    }
}
