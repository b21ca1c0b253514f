//! The shapes of the flows that are measured: their steps, inputs and outputs.

/// The shape of a flow.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// One step.
    Single,
    /// This many steps, each after the one before.
    Chain(usize),
    /// One step, this many after it, and one after all of these.
    Fan(usize),
    /// One map step over the run's input, an array of this many elements.
    Map(usize),
    /// One step that returns an array of this many elements, and a map step over it.
    ListMap(usize),
}

impl Shape {
    pub(crate) fn tasks_of_a_run(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Chain(length) => length,
            Self::Fan(width) => width + 2,
            Self::Map(elements) => elements,
            Self::ListMap(elements) => elements + 1,
        }
    }

    /// The shape of the flow that warms up: smaller if one run alone would take too long.
    pub(crate) fn to_warm_up(self) -> Self {
        match self {
            Self::Map(elements) => Self::Map(elements.min(200)),
            Self::ListMap(elements) => Self::ListMap(elements.min(200)),
            other => other,
        }
    }

    /// The output of a step: the array to map, or a small value that depends on the input.
    pub(crate) fn output(self, step: &str, input: &str) -> String {
        match self {
            Self::ListMap(elements) if step == "step_0" => {
                let elements: Vec<String> = (1..=elements).map(|number| number.to_string()).collect();
                format!("[{}]", elements.join(","))
            }
            _ => format!("{{\"read\": {}}}", input.len()),
        }
    }

    /// The steps with their dependencies.
    pub(crate) fn steps(self) -> Vec<(String, Vec<String>)> {
        let step = |number: usize| format!("step_{number}");
        match self {
            Self::Single | Self::Map(_) => vec![(step(0), vec![])],
            Self::ListMap(_) => vec![(step(0), vec![]), (step(1), vec![step(0)])],
            Self::Chain(length) => (0..length)
                .map(|number| (step(number), (number > 0).then(|| step(number - 1)).into_iter().collect()))
                .collect(),
            Self::Fan(width) => {
                let middle = (1..=width).map(|number| (step(number), vec![step(0)]));
                let last = (step(width + 1), (1..=width).map(step).collect());
                std::iter::once((step(0), vec![])).chain(middle).chain([last]).collect()
            }
        }
    }

    /// Whether this step maps an array.
    pub(crate) fn is_map(self, dependencies: &[String]) -> bool {
        matches!(self, Self::Map(_)) || matches!(self, Self::ListMap(_)) && !dependencies.is_empty()
    }

    /// SQL for the input of a run.
    pub(crate) fn input(self) -> String {
        match self {
            Self::Map(elements) => format!("(select jsonb_agg(n) from generate_series(1, {elements}) n)"),
            _ => r#"'{"order": 4711, "customer": "c-123"}'::jsonb"#.to_owned(),
        }
    }
}
