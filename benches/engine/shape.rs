//! The flows that are run, and runs of them waiting to be processed.

use sqlx::postgres::PgConnection;

use crate::contender::Contender;

/// What a flow looks like.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Shape {
    /// One step.
    Single,
    /// So many steps, each after the one before.
    Chain(usize),
    /// One step, so many after it, one after all of these.
    Fan(usize),
    /// One map step over an array of so many elements, the run's input.
    Map(usize),
    /// One step that gives an array of so many elements, and a map step over it.
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

    /// The same, smaller where one run alone would be too much to warm up with.
    pub(crate) fn to_warm_up(self) -> Self {
        match self {
            Self::Map(elements) => Self::Map(elements.min(200)),
            Self::ListMap(elements) => Self::ListMap(elements.min(200)),
            other => other,
        }
    }

    /// What the handler of a step gives: the array to map, or something small that depends on the input.
    pub(crate) fn output(self, step: &str, input: &str) -> String {
        match self {
            Self::ListMap(elements) if step == "step_0" => {
                let elements: Vec<String> = (1..=elements).map(|number| number.to_string()).collect();
                format!("[{}]", elements.join(","))
            }
            _ => format!("{{\"read\": {}}}", input.len()),
        }
    }

    /// Steps with their dependencies.
    fn steps(self) -> Vec<(String, Vec<String>)> {
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

    /// SQL for the input of a run.
    fn input(self) -> String {
        match self {
            Self::Map(elements) => format!("(select jsonb_agg(n) from generate_series(1, {elements}) n)"),
            _ => r#"'{"order": 4711, "customer": "c-123"}'::jsonb"#.to_owned(),
        }
    }

    /// Makes the flow, or only a queue for a contender without an engine.
    pub(crate) async fn define(self, connection: &mut PgConnection, contender: Contender, flow: &str) {
        if !contender.has_engine() {
            run(connection, &format!("select pgmq.create('{flow}')")).await;
            return;
        }
        // So long a timeout that no stall of the machine has a task handed out twice.
        run(connection, &format!("select pgflow.create_flow('{flow}', timeout => 3600)")).await;
        for (slug, after) in self.steps() {
            let is_map = matches!(self, Self::Map(_)) || matches!(self, Self::ListMap(_)) && !after.is_empty();
            let kind = if is_map { "map" } else { "single" };
            let after: Vec<String> = after.iter().map(|slug| format!("'{slug}'")).collect();
            let after = format!("array[{}]::text[]", after.join(", "));
            run(connection, &format!("select pgflow.add_step('{flow}', '{slug}', {after}, step_type => '{kind}')"))
                .await;
        }
    }

    /// Starts so many runs; as many messages as they have tasks for a contender without an engine.
    pub(crate) async fn start(self, connection: &mut PgConnection, contender: Contender, flow: &str, runs: usize) {
        let sql = if contender.has_engine() {
            format!(
                "do $$ declare input jsonb := {}; begin \
                 for n in 1..{runs} loop perform pgflow.start_flow('{flow}', input); end loop; end $$",
                self.input()
            )
        } else {
            let messages = runs * self.tasks_of_a_run();
            format!(
                "select count(*) from pgmq.send_batch('{flow}', (select array_agg(jsonb_build_object('flow_slug', '{flow}', \
                 'run_id', gen_random_uuid(), 'step_slug', 'step_0', 'task_index', n)) from generate_series(1, {messages}) n))"
            )
        };
        run(connection, &sql).await;
    }
}

pub(crate) async fn run(connection: &mut PgConnection, sql: &str) {
    if let Err(error) = sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(connection).await {
        panic!("{sql}: {error}");
    }
}
