//! A random flow.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::dice::Dice;

/// A flow, without its slug, which differs from play to play.
#[derive(Clone)]
pub(super) struct Flow {
    /// `max_attempts`, `base_delay`, `timeout`.
    options: [usize; 3],
    /// Each comes after those it depends on.
    pub(super) steps: Vec<Step>,
}

#[derive(Clone)]
pub(super) struct Step {
    pub(super) slug: String,
    pub(super) map: bool,
    pub(super) deps: Vec<String>,
    /// Named arguments of `add_step`, as SQL.
    options: String,
}

/// Delays are none or so long that none ends during a test: what a worker sees must not depend on how fast it is.
const DELAYS: [usize; 4] = [0, 0, 1000, 3600];

impl Flow {
    pub(super) fn random(dice: &mut Dice) -> Self {
        let size = dice.weighted(&[(75, (1, 8)), (20, (9, 11)), (5, (20, 21))]);
        let size = size.0 + dice.below(size.1);
        let mut flow = Self { options: [dice.below(4), *dice.pick(&DELAYS), 600 + dice.below(600)], steps: Vec::new() };
        let root_maps = dice.percent(30);
        for _ in 0..size {
            let step = flow.another_step(root_maps, dice);
            flow.steps.push(step);
        }
        flow
    }

    /// A step that the flow can have next. A map without dependencies makes demands on the run's input.
    pub(super) fn another_step(&self, may_be_root_map: bool, dice: &mut Dice) -> Step {
        let map = dice.percent(40);
        let root = self.steps.is_empty() || dice.percent(15);
        let map = map && (!root || may_be_root_map);
        let mut deps = BTreeSet::new();
        for _ in 0..if root { 0 } else { 1 + dice.below(if map { 1 } else { 4 }) } {
            // Often one of the last, which makes chains.
            let back = if dice.percent(50) { self.steps.len().min(3) } else { self.steps.len() };
            deps.insert(self.steps[self.steps.len() - 1 - dice.below(back)].slug.clone());
        }
        Step { slug: self.another_slug(dice), map, deps: deps.into_iter().collect(), options: step_options(dice) }
    }

    /// A slug that is not taken. The order of slugs is not that of the steps.
    fn another_slug(&self, dice: &mut Dice) -> String {
        loop {
            let first = *dice.pick(&["a", "b", "m", "z", "Z", "_", "step_"]);
            let slug = format!("{first}{}", dice.below(40));
            if self.steps.iter().all(|step| step.slug != slug) {
                return slug;
            }
        }
    }

    /// For how long started tasks are hidden, but where their step says otherwise.
    pub(super) fn hidden_for(&self) -> usize {
        self.options[2] + 2
    }

    /// Whether a run needs an array as its input.
    pub(super) fn has_root_map(&self) -> bool {
        self.steps.iter().any(|step| step.map && step.deps.is_empty())
    }

    /// Whether this step must return an array, for a map that depends on it.
    pub(super) fn feeds_a_map(&self, slug: &str) -> bool {
        let is_single = self.steps.iter().any(|step| step.slug == slug && !step.map);
        is_single && self.steps.iter().any(|step| step.map && step.deps.iter().any(|dep| dep == slug))
    }

    /// The flow without one of its steps.
    pub(super) fn without(&self, slug: &str) -> Self {
        let mut flow = self.clone();
        flow.steps.retain(|step| step.slug != slug);
        for step in &mut flow.steps {
            step.deps.retain(|dep| dep != slug);
        }
        flow
    }

    /// The statements that define it under a slug.
    pub(super) fn sql(&self, flow_slug: &str) -> String {
        let [attempts, delay, timeout] = self.options;
        let mut sql = format!("select pgflow.create_flow('{flow_slug}', {attempts}, {delay}, {timeout});\n");
        for step in &self.steps {
            writeln!(sql, "select {};", step.sql(flow_slug)).unwrap();
        }
        sql
    }
}

impl Step {
    /// The call that adds it to a flow.
    pub(super) fn sql(&self, flow_slug: &str) -> String {
        let Self { slug, map, deps, options } = self;
        let kind = if *map { ", step_type => 'map'" } else { "" };
        format!("pgflow.add_step('{flow_slug}', '{slug}', '{{{}}}'{kind}{options})", deps.join(","))
    }
}

fn step_options(dice: &mut Dice) -> String {
    let mut options = String::new();
    let mut option = |dice: &mut Dice, chance, name, value: usize| {
        if dice.percent(chance) {
            write!(options, ", {name} => {value}").unwrap();
        }
    };
    let (attempts, delay, timeout, start) =
        (dice.below(4), *dice.pick(&DELAYS), 600 + dice.below(600), *dice.pick(&DELAYS));
    option(dice, 25, "max_attempts", attempts);
    option(dice, 25, "base_delay", delay);
    option(dice, 25, "timeout", timeout);
    option(dice, 25, "start_delay", start);
    options
}
