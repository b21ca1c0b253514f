//! What a walk can call, as SQL.

use serde_json::Value;

use super::flow::{Flow, SLUG};
use super::json::literal;
use super::run::Run;

/// Where a task is: run, step, index.
pub(super) type Address = (u8, usize, usize);

/// A task and what its handler returned.
pub(super) type Outcome = (Address, Option<Value>);

#[derive(Debug, Clone)]
pub(super) enum Call {
    StartFlow { run: u8, input: Option<Value> },
    Start { tasks: Vec<Address> },
    Poll { quantity: usize },
    Complete { task: Address, output: Option<Value> },
    CompleteBatch { tasks: Vec<Outcome> },
    Fail { task: Address, error: String },
    Hide { tasks: Vec<(Address, i64)> },
    Travel { seconds: i64 },
    RequeueStalled,
    Cancel { run: u8, reason: String },
    Retry { run: u8 },
    Pause,
    Resume,
    Prune { older_than: i64 },
}

const WORKER: &str = "00000000-0000-0000-0000-0000000000aa";

impl Call {
    /// Each row that it returns is one column of text.
    pub(super) fn sql(&self, flow: &Flow) -> String {
        let run = Run::id;
        let place = |(number, step, index): Address| format!("'{}', '{}', {index}", run(number), flow.steps[step].slug);
        let ids = |tasks: &mut dyn Iterator<Item = Address>| {
            let places: Vec<_> = tasks.map(|task| format!("({})", place(task))).collect();
            format!(
                "array(select t.message_id from (values {}) as v (run_id, step_slug, task_index) \
                 join pgflow.step_tasks t on t.run_id = v.run_id::uuid and t.step_slug = v.step_slug and t.task_index = v.task_index \
                 order by t.message_id)",
                places.join(", ")
            )
        };
        match self {
            Self::StartFlow { run: number, input } => format!(
                "select model.run_line(r) from pgflow.start_flow('{SLUG}', {}, '{}') r",
                literal(input.as_ref()),
                run(*number)
            ),
            Self::Start { tasks } => format!(
                "select model.record_line(r) from pgflow.start_tasks('{SLUG}', {}, '{WORKER}') r",
                ids(&mut tasks.iter().copied())
            ),
            Self::Poll { quantity } => {
                format!("select model.record_line(r) from pgflow.poll_tasks('{SLUG}', '{WORKER}', {quantity}) r")
            }
            Self::Complete { task, output } => format!(
                "select model.task_line(t) from pgflow.complete_task({}, {}) t",
                place(*task),
                literal(output.as_ref())
            ),
            Self::CompleteBatch { tasks } => {
                let column = |each: &dyn Fn(&Outcome) -> String| tasks.iter().map(each).collect::<Vec<_>>().join(", ");
                format!(
                    "select model.task_line(t) from pgflow.complete_tasks(array[{}]::uuid[], array[{}]::text[], \
                     array[{}]::integer[], array[{}]::jsonb[]) t",
                    column(&|((number, _, _), _)| format!("'{}'", run(*number))),
                    column(&|((_, step, _), _)| format!("'{}'", flow.steps[*step].slug)),
                    column(&|((_, _, index), _)| index.to_string()),
                    column(&|(_, output)| literal(output.as_ref())),
                )
            }
            Self::Fail { task, error } => {
                format!("select model.task_line(t) from pgflow.fail_task({}, '{error}') t", place(*task))
            }
            // One by one, in the order of the offsets: the message ids are not known here.
            Self::Hide { tasks } => tasks
                .iter()
                .map(|(task, offset)| {
                    let ids = ids(&mut [*task].into_iter());
                    format!("select count(*)::text from pgflow.set_vt_batch('{SLUG}', {ids}, array[{offset}])")
                })
                .collect::<Vec<_>>()
                .join(" union all "),
            Self::Travel { seconds } => format!("select concat(model.travel({seconds}))"),
            Self::RequeueStalled => "select pgflow.requeue_stalled_tasks()::text".to_owned(),
            Self::Cancel { run: number, reason } => {
                format!("select model.run_line(r) from pgflow.cancel_run('{}', '{reason}') r", run(*number))
            }
            Self::Retry { run: number } => {
                format!("select model.run_line(r) from pgflow.retry_run('{}') r", run(*number))
            }
            Self::Pause => format!("select pgflow.pause_flow('{SLUG}')::text"),
            Self::Resume => format!("select pgflow.resume_flow('{SLUG}')::text"),
            Self::Prune { older_than } => format!("select pgflow.prune_runs('{older_than} seconds', '{SLUG}')::text"),
        }
    }
}
