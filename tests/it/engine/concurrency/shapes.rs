//! Flows of every kind, with their handlers and the expected final states of their runs.

/// A flow and its expected final state.
pub(crate) struct Shape {
    pub(crate) slug: &'static str,
    /// The arguments of `add_step` after the flow, for each step.
    steps: &'static [&'static str],
    pub(crate) input: &'static str,
    /// The status of the finished run, and of the steps whose status is the same in every run.
    pub(crate) ends: &'static str,
}

pub(crate) const SHAPES: &[Shape] = &[
    Shape {
        slug: "chain",
        steps: &["'a'", "'b', '{a}'", "'c', '{b}'", "'d', '{c}'"],
        input: r#"{"n": 1}"#,
        ends: "completed: a completed, b completed, c completed, d completed",
    },
    Shape {
        slug: "fan",
        steps: &["'a'", "'b1', '{a}'", "'b2', '{a}'", "'b3', '{a}'", "'z', '{b1, b2, b3}'"],
        input: r#"{"n": 1}"#,
        ends: "completed: a completed, b1 completed, b2 completed, b3 completed, z completed",
    },
    Shape {
        slug: "maps",
        steps: &["'list'", "'m', '{list}', step_type => 'map'", "'n', '{m}', step_type => 'map'", "'z', '{n, list}'"],
        input: "{}",
        ends: "completed: list completed, m completed, n completed, z completed",
    },
    Shape {
        slug: "root_maps",
        steps: &["'m', step_type => 'map'", "'n', step_type => 'map'", "'z', '{m, n}'"],
        input: "[3, 1, 2]",
        ends: "completed: m completed, n completed, z completed",
    },
    Shape {
        slug: "empty_map",
        steps: &[
            "'m', step_type => 'map'",
            "'n', '{m}', step_type => 'map'",
            "'y', '{n}'",
            "'o', '{n}', step_type => 'map'",
        ],
        input: "[]",
        ends: "completed: m completed, n completed, o completed, y completed",
    },
    Shape {
        slug: "conditions",
        steps: &[
            "'a'",
            r#"'met', '{a}', required_input_pattern => '{"a": {"n": 1}}'"#,
            r#"'skipped', '{a}', forbidden_input_pattern => '{"a": {"n": 1}}'"#,
            r#"'cascading', '{a}', required_input_pattern => '{"a": {"n": 2}}', when_unmet => 'skip-cascade'"#,
            "'below', '{cascading, met}'",
            "'z', '{met, skipped}'",
        ],
        input: r#"{"n": 1}"#,
        ends: "completed: a completed, below skipped, cascading skipped, met completed, skipped skipped, z completed",
    },
    Shape {
        slug: "condition_fails",
        steps: &["'a'", "'b'", r#"'z', '{a, b}', required_input_pattern => '{"x": 1}', when_unmet => 'fail'"#],
        input: r#"{"n": 1}"#,
        ends: "failed: a completed, b completed, z failed",
    },
    Shape {
        slug: "retries",
        steps: &["'flaky'", "'list'", "'flaky_map', '{list}', step_type => 'map'", "'z', '{flaky, flaky_map}'"],
        input: r#"{"n": 1}"#,
        ends: "completed: flaky completed, flaky_map completed, list completed, z completed",
    },
    Shape {
        slug: "exhausted_skip",
        steps: &[
            "'list'",
            "'broken', when_exhausted => 'skip'",
            "'m', '{broken}', step_type => 'map'",
            "'holed', '{list}', step_type => 'map', when_exhausted => 'skip', max_attempts => 1",
            "'y', '{broken, holed}'",
            "'z', '{m, y}'",
        ],
        input: "{}",
        ends: "completed: broken skipped, holed skipped, list completed, m completed, y completed, z completed",
    },
    Shape {
        slug: "exhausted_cascade",
        steps: &[
            "'a'",
            "'broken', when_exhausted => 'skip-cascade', max_attempts => 2",
            "'broken_too', when_exhausted => 'skip-cascade', max_attempts => 2",
            "'b', '{broken, broken_too, a}'",
            "'c', '{b}'",
            "'z', '{a}'",
        ],
        input: "{}",
        ends: "completed: a completed, b skipped, broken skipped, broken_too skipped, c skipped, z completed",
    },
    Shape {
        slug: "exhausted_fail",
        steps: &[
            "'list'",
            "'m', '{list}', step_type => 'map'",
            "'broken', max_attempts => 1",
            "'broken_too', max_attempts => 1",
            "'z', '{broken, m}'",
        ],
        input: "{}",
        ends: "failed: z created",
    },
];

impl Shape {
    /// The statements that define the flow.
    pub(crate) fn define(&self) -> String {
        let steps = self.steps.iter().map(|step| format!("; select pgflow.add_step('{}', {step})", self.slug));
        format!("select pgflow.create_flow('{}', 3, 0)", self.slug) + &steps.collect::<String>()
    }

    /// Whether steps and outputs of a run do not depend on the order of its tasks.
    pub(crate) fn is_determined(&self) -> bool {
        self.ends.starts_with("completed")
    }
}

/// The handler of all steps: returns the output or the error of an attempt, counted from 1.
pub(crate) fn handle(step: &str, index: i32, input: &str, attempt: u32) -> Result<String, String> {
    match step {
        "list" => Ok("[10, 20, 30, 40]".to_owned()),
        _ if step.starts_with("broken") => Err(format!("{step} is broken")),
        "holed" if index == 2 => Err("here is a hole".to_owned()),
        _ if step.starts_with("flaky") && attempt < 3 => Err(format!("not at attempt {attempt}")),
        "a" => Ok(input.to_owned()),
        _ => Ok(format!(r#"{{"{step}": {input}}}"#)),
    }
}
