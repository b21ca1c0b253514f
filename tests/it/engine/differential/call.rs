//! A call of a worker, a client or the clock, and its SQL.

use serde_json::Value;

use super::flow::Step;
use super::state::State;

/// A call, without the slug of the flow and the ids of runs and messages, which differ from play to play.
#[derive(Clone)]
pub(super) enum Call {
    /// A flow can be given more steps while it runs.
    AddStep {
        step: Step,
    },
    StartFlow {
        run: usize,
        input: Option<Value>,
        how: Start,
    },
    Show {
        run: usize,
    },
    Read {
        hidden_for: usize,
        count: usize,
    },
    /// Reads messages and starts their tasks: in ours one call.
    Poll {
        hidden_for: usize,
        count: usize,
        worker: usize,
    },
    StartTasks {
        tasks: Vec<Task>,
        worker: Option<usize>,
    },
    Complete {
        task: Task,
        output: Option<Value>,
        /// In ours by the function for many.
        as_batch: bool,
    },
    Fail {
        task: Task,
        error: Option<String>,
    },
    SetVisibility {
        tasks: Vec<Task>,
        offsets: Vec<usize>,
    },
    /// Time passes: hidden messages can be read.
    Reveal {
        tasks: Vec<Task>,
    },
}

#[derive(Clone, Copy)]
pub(super) enum Start {
    Plainly,
    WithStates,
    OfNoFlow,
}

/// What names a task, or names none.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) run: usize,
    pub(super) step: String,
    pub(super) index: i64,
}

/// What the flow and its runs are called in one play, in both databases.
#[derive(Clone, Copy)]
pub(super) struct Names {
    pub(super) play: u32,
}

impl Names {
    pub(super) fn flow(self) -> String {
        format!("flow_{}", self.play)
    }

    pub(super) fn run(self, run: usize) -> String {
        format!("{}{run:012x}", self.run_prefix())
    }

    /// What the ids of all runs begin with.
    pub(super) fn run_prefix(self) -> String {
        format!("{:08x}-0000-4000-8000-", self.play)
    }
}

/// The number of the run that an id was made for.
pub(super) fn run_number(run_id: &str) -> usize {
    usize::from_str_radix(&run_id[24..], 16).unwrap()
}

/// The workers that both databases know; one more is unknown.
pub(super) const WORKERS: usize = 2;

/// The id of a worker.
pub(super) fn worker_id(worker: usize) -> String {
    format!("00000000-0000-4000-8000-{worker:012x}")
}

impl Call {
    /// What follows `select * from`, on a state.
    pub(super) fn sql(&self, names: Names, state: &State) -> String {
        let flow = names.flow();
        match self {
            Self::AddStep { step } => step.sql(&flow),
            Self::StartFlow { run, input, how } => {
                let (function, flow) = match how {
                    Start::Plainly => ("start_flow", flow),
                    Start::WithStates => ("start_flow_with_states", flow),
                    Start::OfNoFlow => ("start_flow", format!("{flow}_no")),
                };
                format!("pgflow.{function}('{flow}', {}, '{}')", sql_json(input.as_ref()), names.run(*run))
            }
            Self::Show { run } => format!("pgflow.get_run_with_states('{}')", names.run(*run)),
            Self::Read { hidden_for, count } => format!("pgmq.read('{flow}', {hidden_for}, {count})"),
            Self::Poll { hidden_for, count, worker } => format!(
                "pgflow.start_tasks('{flow}', array(select msg_id from pgmq.read('{flow}', {hidden_for}, {count})), '{}')",
                worker_id(*worker)
            ),
            Self::StartTasks { tasks, worker } => {
                let worker = literal(worker.map(worker_id).as_deref());
                format!("pgflow.start_tasks('{flow}', {}::bigint[], {worker})", messages(tasks, state))
            }
            Self::Complete { task, output, .. } => {
                format!("pgflow.complete_task({}, {})", task.sql(names), sql_json(output.as_ref()))
            }
            Self::Fail { task, error } => {
                format!("pgflow.fail_task({}, {})", task.sql(names), literal(error.as_deref()))
            }
            Self::SetVisibility { tasks, offsets } => {
                format!(
                    "pgflow.set_vt_batch('{flow}', {}::bigint[], {}::integer[])",
                    messages(tasks, state),
                    array(offsets)
                )
            }
            Self::Reveal { tasks } => {
                format!("unnest({}::bigint[]) id, pgmq.set_vt('{flow}', id, -1)", messages(tasks, state))
            }
        }
    }
}

impl Call {
    /// The column of its rows that can be null as well as the JSON value null.
    pub(super) fn nullable(&self) -> Option<&'static str> {
        match self {
            Self::Poll { .. } | Self::StartTasks { .. } => Some("input"),
            Self::Complete { .. } | Self::Fail { .. } => Some("output"),
            _ => None,
        }
    }

    /// The same by what only our engine has, where it has something.
    pub(super) fn sql_of_ours(&self, names: Names) -> Option<String> {
        match self {
            Self::Poll { count, worker, .. } => {
                Some(format!("pgflow.poll_tasks('{}', '{}', {count})", names.flow(), worker_id(*worker)))
            }
            Self::Complete { task, output, as_batch: true } => Some(format!(
                "pgflow.complete_tasks('{{{}}}', '{{{}}}', '{{{}}}', array[{}::jsonb])",
                names.run(task.run),
                task.step,
                task.index,
                sql_json(output.as_ref())
            )),
            _ => None,
        }
    }
}

impl Task {
    /// As arguments.
    pub(super) fn sql(&self, names: Names) -> String {
        format!("{}, {}", self.step_sql(names), self.index)
    }

    /// The arguments that name its step.
    pub(super) fn step_sql(&self, names: Names) -> String {
        format!("'{}', '{}'", names.run(self.run), self.step)
    }
}

/// The messages of tasks; one that is nowhere for a task that does not exist.
fn messages(tasks: &[Task], state: &State) -> String {
    let message = |task| state.task(task).map_or(4711, |row| row["message_id"].as_i64().unwrap());
    array(&tasks.iter().map(message).collect::<Vec<_>>())
}

fn literal(text: Option<&str>) -> String {
    text.map_or("null".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
}

/// A literal.
pub(super) fn sql_json(value: Option<&Value>) -> String {
    literal(value.map(Value::to_string).as_deref())
}

fn array<T: ToString>(items: &[T]) -> String {
    let items: Vec<_> = items.iter().map(ToString::to_string).collect();
    format!("'{{{}}}'", items.join(","))
}
