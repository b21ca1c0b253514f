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
        let root_maps = dice.percent(30);
        let mut steps: Vec<Step> = Vec::new();
        for slug in slugs(dice, size) {
            let map = dice.percent(40);
            let root = steps.is_empty() || dice.percent(15);
            // A map without a dependency makes demands on the run's input.
            let map = map && (!root || root_maps);
            let most = if map { 1 } else { 4 };
            let mut deps = BTreeSet::new();
            for _ in 0..if root { 0 } else { 1 + dice.below(most) } {
                // Often one of the last, which makes chains.
                let back = if dice.percent(50) { steps.len().min(3) } else { steps.len() };
                deps.insert(steps[steps.len() - 1 - dice.below(back)].slug.clone());
            }
            steps.push(Step { slug, map, deps: deps.into_iter().collect(), options: step_options(dice) });
        }
        Self { options: [dice.below(4), *dice.pick(&DELAYS), 600 + dice.below(600)], steps }
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
            let deps = step.deps.join(",");
            let kind = if step.map { ", step_type => 'map'" } else { "" };
            let Step { slug, options, .. } = step;
            writeln!(sql, "select pgflow.add_step('{flow_slug}', '{slug}', '{{{deps}}}'{kind}{options});").unwrap();
        }
        sql
    }
}

/// Different slugs whose order is not that of the steps.
fn slugs(dice: &mut Dice, count: usize) -> Vec<String> {
    let mut slugs: Vec<String> = Vec::new();
    while slugs.len() < count {
        let first = *dice.pick(&["a", "b", "m", "z", "Z", "_", "step_"]);
        let slug = format!("{first}{}", dice.below(40));
        if !slugs.contains(&slug) {
            slugs.push(slug);
        }
    }
    slugs
}

fn step_options(dice: &mut Dice) -> String {
    let mut options = String::new();
    let mut option = |dice: &mut Dice, chance, name, value: usize| {
        if dice.percent(chance) {
            write!(options, ", {name} => {value}").unwrap();
        }
    };
    let (attempts, delay, timeout, start) = (dice.below(4), *dice.pick(&DELAYS), 600 + dice.below(600), *dice.pick(&DELAYS));
    option(dice, 25, "max_attempts", attempts);
    option(dice, 25, "base_delay", delay);
    option(dice, 25, "timeout", timeout);
    option(dice, 0, "start_delay", start);
    options
}
