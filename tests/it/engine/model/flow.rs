//! The definition that a walk runs, and its SQL.

use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::json;
use super::random::Random;

pub(super) const SLUG: &str = "walk";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Single,
    Map,
}

/// What becomes of a run where a condition is unmet or the attempts are exhausted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Otherwise {
    Fail,
    Skip,
    SkipCascade,
}

impl Otherwise {
    fn as_str(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::SkipCascade => "skip-cascade",
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) slug: String,
    pub(super) kind: Kind,
    /// Indexes of earlier steps.
    pub(super) deps: Vec<usize>,
    pub(super) max_attempts: Option<i64>,
    pub(super) base_delay: Option<i64>,
    pub(super) timeout: Option<i64>,
    pub(super) start_delay: Option<i64>,
    pub(super) required: Option<Value>,
    pub(super) forbidden: Option<Value>,
    pub(super) when_unmet: Otherwise,
    pub(super) when_exhausted: Otherwise,
}

#[derive(Debug, Clone)]
pub(super) struct Flow {
    pub(super) max_attempts: i64,
    pub(super) base_delay: i64,
    pub(super) timeout: i64,
    pub(super) steps: Vec<Step>,
}

/// A walk's own time passes in steps of 50 s (see `call::Travel`). These keep every deadline at least 10 s away from them, so
/// that the seconds a walk really takes decide nothing.
const TIMEOUTS: [i64; 3] = [60, 110, 290];
const DELAYS: [i64; 3] = [0, 0, 70];

impl Flow {
    pub(super) fn random(random: &mut Random) -> Self {
        let count = 1 + random.below(6);
        let mut steps: Vec<Step> = Vec::new();
        for index in 0..count {
            let earlier: Vec<usize> = (0..index).collect();
            let kind = if random.chance(40) { Kind::Map } else { Kind::Single };
            let mut deps = random.some(&earlier, if index > 3 { 35 } else { 55 });
            if kind == Kind::Map {
                deps.truncate(1);
            }
            let required = random.chance(25).then(|| pattern(random, &deps));
            let forbidden = random.chance(15).then(|| pattern(random, &deps));
            steps.push(Step {
                slug: "abcdef"[index..=index].to_owned(),
                kind,
                deps,
                max_attempts: random.chance(30).then(|| random.pick(&[0, 1, 2, 3])),
                base_delay: random.chance(30).then(|| random.pick(&DELAYS)),
                timeout: random.chance(30).then(|| random.pick(&TIMEOUTS)),
                start_delay: random.chance(15).then(|| random.pick(&DELAYS)),
                required,
                forbidden,
                when_unmet: otherwise(random),
                when_exhausted: otherwise(random),
            });
        }
        Self {
            max_attempts: random.pick(&[1, 2, 3]),
            base_delay: random.pick(&DELAYS),
            timeout: random.pick(&TIMEOUTS),
            steps,
        }
    }

    pub(super) fn sql(&self) -> String {
        let mut sql = format!(
            "select pgflow.create_flow('{SLUG}', {}, {}, {});\n",
            self.max_attempts, self.base_delay, self.timeout
        );
        let number = |number: Option<i64>| number.map_or_else(|| "null".to_owned(), |number| number.to_string());
        for step in &self.steps {
            let deps: Vec<_> = step.deps.iter().map(|dep| self.steps[*dep].slug.as_str()).collect();
            writeln!(
                sql,
                "select pgflow.add_step('{SLUG}', '{}', '{{{}}}', {}, {}, {}, {}, '{}', {}, {}, '{}', '{}');",
                step.slug,
                deps.join(","),
                number(step.max_attempts),
                number(step.base_delay),
                number(step.timeout),
                number(step.start_delay),
                if step.kind == Kind::Map { "map" } else { "single" },
                json::literal(step.required.as_ref()),
                json::literal(step.forbidden.as_ref()),
                step.when_unmet.as_str(),
                step.when_exhausted.as_str(),
            )
            .unwrap();
        }
        sql
    }

    pub(super) fn dependents(&self, step: usize) -> Vec<usize> {
        (0..self.steps.len()).filter(|other| self.steps[*other].deps.contains(&step)).collect()
    }

    /// Those after it, however far.
    pub(super) fn all_dependents(&self, step: usize) -> Vec<usize> {
        let mut found = vec![step];
        for other in step + 1..self.steps.len() {
            if self.steps[other].deps.iter().any(|dep| found.contains(dep)) {
                found.push(other);
            }
        }
        found.split_off(1)
    }

    pub(super) fn has_root_map(&self) -> bool {
        self.steps.iter().any(|step| step.kind == Kind::Map && step.deps.is_empty())
    }

    /// Whether a worker of this step should return an array.
    pub(super) fn feeds_a_map(&self, step: usize) -> bool {
        self.dependents(step).iter().any(|dependent| self.steps[*dependent].kind == Kind::Map)
    }
}

fn otherwise(random: &mut Random) -> Otherwise {
    random.pick(&[Otherwise::Fail, Otherwise::Skip, Otherwise::Skip, Otherwise::SkipCascade])
}

/// A pattern for the run's input, or for the outputs of dependencies.
fn pattern(random: &mut Random, deps: &[usize]) -> Value {
    if deps.is_empty() {
        return random.pick(&[json!({}), json!({"k": 1}), json!({"k": [2]}), json!({"long": {}})]);
    }
    let deps = random.some(deps, 60);
    let entries = deps.iter().map(|dep| ("abcdef"[*dep..=*dep].to_owned(), json::part(random)));
    Value::Object(entries.collect::<Map<_, _>>())
}
