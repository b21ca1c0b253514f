//! The flows of the benchmark.

use std::fmt;

/// A flow of the benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scenario {
    /// One step.
    Single,
    /// Five steps, each depending on the previous one.
    Chain,
    /// One step, twenty steps that depend on it, and one step that depends on all of these.
    Fan,
    /// One step that returns an array of twenty elements, and a map step over it.
    Map,
}

/// The number of steps of a chain.
const LENGTH: usize = 5;

/// The number of middle steps of a fan, and of elements of a map.
const WIDTH: usize = 20;

/// The arguments of `pgflow.add_step`.
pub(super) struct Step {
    pub(super) slug: String,
    pub(super) after: Vec<String>,
    pub(super) is_map: bool,
}

impl Scenario {
    /// All scenarios.
    pub const ALL: [Self; 4] = [Self::Single, Self::Chain, Self::Fan, Self::Map];

    /// The name in `--scenario` and in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::Chain => "chain",
            Self::Fan => "fan",
            Self::Map => "map",
        }
    }

    /// The number of tasks per run.
    pub fn tasks_of_a_run(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Chain => LENGTH,
            Self::Fan => WIDTH + 2,
            Self::Map => WIDTH + 1,
        }
    }

    pub(super) fn steps(self) -> Vec<Step> {
        let slug = |number: usize| format!("step_{number}");
        let step = |number: usize, after: Vec<String>| Step { slug: slug(number), after, is_map: false };
        let first = step(0, vec![]);
        match self {
            Self::Single => vec![first],
            Self::Chain => {
                let rest = (1..LENGTH).map(|number| step(number, vec![slug(number - 1)]));
                std::iter::once(first).chain(rest).collect()
            }
            Self::Fan => {
                let middle = (1..=WIDTH).map(|number| step(number, vec![slug(0)]));
                let last = step(WIDTH + 1, (1..=WIDTH).map(slug).collect());
                std::iter::once(first).chain(middle).chain([last]).collect()
            }
            Self::Map => vec![first, Step { is_map: true, ..step(1, vec![slug(0)]) }],
        }
    }

    /// The output of the handler of a step: the array to map, or a small object that depends on the input.
    pub(super) fn output(self, step: &str, input: &str) -> String {
        if self == Self::Map && step == "step_0" {
            let elements: Vec<String> = (1..=WIDTH).map(|number| number.to_string()).collect();
            return format!("[{}]", elements.join(","));
        }
        format!("{{\"read\":{}}}", input.len())
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_make_the_tasks_that_are_counted() {
        for scenario in Scenario::ALL {
            let tasks: usize = scenario.steps().iter().map(|step| if step.is_map { WIDTH } else { 1 }).sum();
            assert_eq!(tasks, scenario.tasks_of_a_run(), "{scenario}");
        }
    }
}
