//! What has become of every run, task and call.

use std::collections::HashMap;
use std::fmt;

use super::Size;
use super::client::Client;
use super::stage::{ROWS_OF_AN_ORDER, Stage};
use super::starter::{is_parcel, run_id};
use crate::engine::concurrency::assert_sound;
use crate::engine::concurrency::ends::assert_archived;

/// What was done.
pub(super) struct Tally {
    orders: usize,
    rows: usize,
    /// Of each run, how often.
    labels: HashMap<String, usize>,
    notes: HashMap<String, usize>,
}

impl Tally {
    pub(super) async fn take(stage: &Stage) -> Self {
        let orders = (1..=stage.size.runs).filter(|&n| !is_parcel(n)).count();
        let rows = stage.observer().count("select count(*) from done").await;
        Self { orders, rows, labels: stage.labels(), notes: stage.notes() }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { orders, rows, labels, notes } = self;
        let calls = |calls: &HashMap<String, usize>| calls.values().sum::<usize>();
        let (exec, http) = (calls(labels), calls(notes));
        let (again, again_http) = (exec - labels.len(), http - notes.len());
        write!(
            f,
            "{} runs completed, {rows} rows of {orders} orders, exec {exec} times ({again} of them again), \
             http {http} times ({again_http} again)",
            orders + labels.len()
        )
    }
}

/// Nothing is lost, and no query was done twice.
pub(super) async fn assert_kept(stage: &Stage, tally: &Tally) {
    let mut observer = stage.observer();
    let ends = "select r.status, r.output, count(*) from pgflow.runs r group by 1, 2 order by 3 desc, 2";
    let runs = stage.size.runs;
    let expected = format!(
        "completed|{{\"ship\": [0, 1, 2]}}|{}\ncompleted|{{\"notify\": null}}|{}",
        tally.orders,
        runs - tally.orders
    );
    assert_eq!(observer.ask(ends).await, expected, "{}", what_is_left(stage, &mut observer).await);

    // Run, step, place, and how many rows instead of one.
    let not_once =
        "select coalesce(t.run_id, d.run_id), coalesce(t.step_slug, d.step), coalesce(t.task_index, d.place),
                      coalesce(d.times, 0) || ' rows', coalesce(t.status, 'no task')
                    from (select * from pgflow.step_tasks where flow_slug = 'order') t
                    full join (select run_id, step, place, count(*) as times from done group by 1, 2, 3) d
                      on d.run_id = t.run_id and d.step = t.step_slug and d.place = t.task_index
                    where d.times is distinct from 1 or t.run_id is null order by 1, 2, 3 limit 20";
    assert_eq!(observer.ask(not_once).await, "", "queries that were not done exactly once");
    assert_eq!(tally.rows, tally.orders * ROWS_OF_AN_ORDER);
    let at_first = "select count(*) from pgflow.step_tasks where step_slug = 'weigh' and attempts_count < 2";
    assert_eq!(observer.ask(at_first).await, "0", "tasks that should have failed at first");

    for n in (1..=runs).filter(|&n| is_parcel(n)) {
        let run = run_id(n);
        assert!(tally.labels.contains_key(&run), "no program was run for {run}");
        assert!(tally.notes.contains_key(&run), "no request was made for {run}");
    }
    assert_eq!((tally.labels.len(), tally.notes.len()), (runs - tally.orders, runs - tally.orders));

    let c = &mut stage.server.connect().await;
    assert_sound(c).await;
    for flow in ["order", "parcel"] {
        assert_archived(c, flow).await;
    }
}

/// The runs that are not completed, with their steps and the cause.
pub(super) async fn what_is_left(stage: &Stage, observer: &mut Client) -> String {
    let runs = "select r.run_id, r.flow_slug, r.status, string_agg(s.step_slug || ' ' || s.status || coalesce(': ' || s.error_message, ''),
                  ', ' order by s.step_slug)
                from pgflow.runs r left join pgflow.step_states s using (run_id)
                where r.status <> 'completed' group by r.run_id order by r.run_id limit 20";
    let stalled = stage.project.run(&["stalled", "--for", "0s"]);
    let Size { runs: wanted, seed } = stage.size;
    let there = observer.ask("select count(*) from pgflow.runs").await;
    format!(
        "FLOWSMITH_PROOF_RUNS={wanted} FLOWSMITH_PROOF_SEED={seed}; {there} runs are there; those that are not completed:\n{}\n{}",
        observer.ask(runs).await,
        stalled.both()
    )
}
