//! Assertions about every run, task and call.

use std::collections::HashMap;
use std::fmt;

use super::Size;
use super::client::Client;
use super::fixture::{Fixture, ROWS_PER_ORDER};
use super::runs::{is_parcel, run_id};
use crate::engine::concurrency::assert_no_violations;
use crate::engine::concurrency::ends::assert_archived;

/// The counts of completed work.
pub(super) struct Tally {
    orders: usize,
    rows: usize,
    /// Calls of the program, by run.
    labels: HashMap<String, usize>,
    /// Requests, by run.
    notes: HashMap<String, usize>,
}

impl Tally {
    pub(super) async fn read(fixture: &Fixture) -> Self {
        let orders = (1..=fixture.size.runs).filter(|&n| !is_parcel(n)).count();
        let rows = fixture.observer().count("select count(*) from done").await;
        Self { orders, rows, labels: fixture.labels(), notes: fixture.notes() }
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

/// Asserts that no run is lost and no query took effect twice.
pub(super) async fn assert_consistent(fixture: &Fixture, tally: &Tally) {
    let mut observer = fixture.observer();
    let ends = "select r.status, r.output, count(*) from pgflow.runs r group by 1, 2 order by 3 desc, 2";
    let runs = fixture.size.runs;
    let expected = format!(
        "completed|{{\"ship\": [0, 1, 2]}}|{}\ncompleted|{{\"notify\": null}}|{}",
        tally.orders,
        runs - tally.orders
    );
    assert_eq!(observer.query(ends).await, expected, "{}", unfinished_runs(fixture, &mut observer).await);

    // Run, step, index, and the number of rows if it is not one.
    let not_once =
        "select coalesce(t.run_id, d.run_id), coalesce(t.step_slug, d.step), coalesce(t.task_index, d.place),
                      coalesce(d.times, 0) || ' rows', coalesce(t.status, 'no task')
                    from (select * from pgflow.step_tasks where flow_slug = 'order') t
                    full join (select run_id, step, place, count(*) as times from done group by 1, 2, 3) d
                      on d.run_id = t.run_id and d.step = t.step_slug and d.place = t.task_index
                    where d.times is distinct from 1 or t.run_id is null order by 1, 2, 3 limit 20";
    assert_eq!(observer.query(not_once).await, "", "queries that did not take effect exactly once");
    assert_eq!(tally.rows, tally.orders * ROWS_PER_ORDER);
    let at_first = "select count(*) from pgflow.step_tasks where step_slug = 'weigh' and attempts_count < 2";
    assert_eq!(observer.query(at_first).await, "0", "tasks whose first attempt should have failed");

    for n in (1..=runs).filter(|&n| is_parcel(n)) {
        let run = run_id(n);
        assert!(tally.labels.contains_key(&run), "no program ran for {run}");
        assert!(tally.notes.contains_key(&run), "no request was sent for {run}");
    }
    assert_eq!((tally.labels.len(), tally.notes.len()), (runs - tally.orders, runs - tally.orders));

    let c = &mut fixture.server.connect().await;
    assert_no_violations(c).await;
    for flow in ["order", "parcel"] {
        assert_archived(c, flow).await;
    }
}

/// The runs that have not completed, with their steps and errors.
pub(super) async fn unfinished_runs(fixture: &Fixture, observer: &mut Client) -> String {
    let runs = "select r.run_id, r.flow_slug, r.status, string_agg(s.step_slug || ' ' || s.status || coalesce(': ' || s.error_message, ''),
                  ', ' order by s.step_slug)
                from pgflow.runs r left join pgflow.step_states s using (run_id)
                where r.status <> 'completed' group by r.run_id order by r.run_id limit 20";
    let stalled = fixture.project.run(&["stalled", "--for", "0s"]);
    let Size { runs: expected, seed } = fixture.size;
    let existing = observer.query("select count(*) from pgflow.runs").await;
    format!(
        "FLOWSMITH_CHAOS_RUNS={expected} FLOWSMITH_CHAOS_SEED={seed}; {existing} runs exist; not completed:\n{}\n{}",
        observer.query(runs).await,
        stalled.all_output()
    )
}
