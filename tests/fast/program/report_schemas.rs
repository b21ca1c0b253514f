//! JSON reports with every kind of content fit the committed schemas.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use flowsmith::report::{Subject, bench_json, doctor_json, drift_json, plan_json, status_json};
use flowsmith_core::catalog::{Annotations, Flow, FlowId, FlowOptions, State, Step, TableName};
use flowsmith_core::diff::{AbandonedQueue, Alteration, Change, Class, Delta, FlowDelta, StepDelta};
use flowsmith_postgres::bench::{
    BenchReport, BenchSettings, Delivery, Protocol, Scenario, ScenarioReport, Summary, Usage,
};
use flowsmith_postgres::drift::Drift;
use flowsmith_postgres::engine::doctor::{CheckStatus, DoctorCheck};
use flowsmith_postgres::introspection::TriggerDifference;
use flowsmith_postgres::ledger::{LedgerEntry, MigrationState, MigrationStatus, Status};
use flowsmith_postgres::plan::{Hazard, Plan, PlannedChange, RefusedTrigger};
use flowsmith_postgres::runs::RunTotals;

use crate::shared::schemas::assert_fits;

fn subject() -> Subject {
    Subject { database: "app@localhost:5432/app".to_owned(), engine: "engine 0.14, flowsmith's".to_owned() }
}

fn flow() -> Arc<Flow> {
    Arc::new(Flow {
        id: FlowId::new("order", 2),
        state: State::Current,
        options: FlowOptions::DEFAULT,
        steps: vec![Step::single("load")],
        annotations: Annotations::default(),
        triggers: Vec::new(),
    })
}

fn altered(deltas: Vec<FlowDelta>) -> Change {
    Change::Alter(Box::new(Alteration { from: flow(), to: flow(), deltas }))
}

fn delta<T>(from: T, to: T) -> Delta<T> {
    Delta { from, to }
}

/// A change of each class.
fn changes() -> Vec<Change> {
    let owned = Annotations { owner: Some("shop".to_owned()), ..Annotations::default() };
    let changes = vec![
        Change::Create(flow()),
        Change::Drop(flow()),
        altered(vec![FlowDelta::Annotations(Box::new(delta(Annotations::default(), owned)))]),
        altered(vec![FlowDelta::State(delta(State::Current, State::Retired))]),
        altered(vec![FlowDelta::Timeout(delta(60, 90)), FlowDelta::MaxAttempts(delta(3, 4))]),
        altered(vec![FlowDelta::Step("load".to_owned(), StepDelta::DependsOn(delta(vec![], vec!["a".to_owned()])))]),
    ];
    let classes: BTreeSet<Class> = changes.iter().map(Change::class).collect();
    assert_eq!(classes.len(), 6, "a class is missing");
    changes
}

#[test]
fn plan_fits_its_schema() {
    let runs = RunTotals { started: 1, total: 3 };
    let hazards = vec![
        Hazard::ReplacedUnderRuns(runs),
        Hazard::DroppedUnderRuns(runs),
        Hazard::NoConditions,
        Hazard::Drains(runs),
        Hazard::TunedUnderRuns(runs),
        Hazard::HistoryDeleted(runs),
        Hazard::LocksTable(TableName::parse("public.orders").unwrap()),
        Hazard::NoPgCron(vec!["nightly".to_owned()]),
        Hazard::Strict(vec!["paid".to_owned()]),
        Hazard::TriggerRefused(RefusedTrigger {
            flow: FlowId::new("order", 1),
            trigger: "paid".to_owned(),
            reason: "table public.orders does not exist".to_owned(),
        }),
        Hazard::LeavesQueue(AbandonedQueue { trigger: "imported".to_owned(), queue: "imports".to_owned() }),
    ];
    let planned = |change| PlannedChange { change, runs, hazards: hazards.clone() };
    let full = Plan {
        changes: changes().into_iter().map(planned).collect(),
        unmanaged: vec!["by_hand".to_owned()],
        drift: Drift { without_queue: BTreeSet::from(["order".to_owned()]), ..Drift::default() },
    };
    assert_fits("plan.v1.json", &[plan_json(&full, &subject()), plan_json(&Plan::default(), &subject())]);
}

#[test]
fn drift_fits_its_schema() {
    let id = |name: &str| format!("20261121120000_{name}");
    let full = Drift {
        changes: changes(),
        unmanaged: vec!["by_hand".to_owned()],
        without_queue: BTreeSet::from(["order".to_owned()]),
        unreadable: BTreeSet::from(["refund".to_owned()]),
        triggers: vec![TriggerDifference {
            flow: "order".to_owned(),
            trigger: "nightly".to_owned(),
            difference: "its job is disabled".to_owned(),
            declared: true,
            broken: false,
        }],
        migrations: vec![(id("a"), MigrationState::Edited), (id("b"), MigrationState::Missing)],
    };
    assert_fits("drift.v1.json", &[drift_json(&full, &subject()), drift_json(&Drift::default(), &subject())]);
}

#[test]
fn status_fits_its_schema() {
    use MigrationState::{Applied, AppliedElsewhere, Edited, Missing, OutOfOrder, Pending};
    let migration = |state| MigrationStatus {
        id: "20261121120000_add_order".to_owned(),
        state,
        entry: (!matches!(state, Pending | OutOfOrder)).then(|| LedgerEntry {
            version: "20261121120000".to_owned(),
            name: "add_order".to_owned(),
            checksum: None,
            applied_at: "2026-11-21T12:00:00Z".to_owned(),
            applied_by: "deploy".to_owned(),
        }),
    };
    let states = [Applied, AppliedElsewhere, Pending, OutOfOrder, Edited, Missing];
    let full = Status { migrations: states.map(migration).to_vec() };
    assert_fits("status.v1.json", &[status_json(&full, &subject()), status_json(&Status::default(), &subject())]);
}

#[test]
fn doctor_fits_its_schema() {
    let check = |status, advice: Option<&str>| DoctorCheck {
        name: "engine".to_owned(),
        status,
        detail: String::new(),
        advice: advice.map(ToOwned::to_owned),
    };
    let checks = [
        check(CheckStatus::Ok, None),
        check(CheckStatus::Warning, Some("look at it")),
        check(CheckStatus::Failed, Some("run `flowsmith install`")),
        check(CheckStatus::Skipped, None),
    ];
    assert_fits("doctor.v1.json", &[doctor_json(&checks, &subject()), doctor_json(&[], &subject())]);
}

#[test]
fn bench_fits_its_schema() {
    let summary = |deviation| Summary { mean: 2.5, deviation, least: 2.0, greatest: 3.0 };
    let usage =
        Usage { memory_mean: 1e6, memory_peak: 2_000_000, cpu: Duration::from_secs(1), cpu_share: 0.5, samples: 4 };
    let settings = BenchSettings {
        scenarios: Scenario::ALL.to_vec(),
        runs: 200,
        workers: 4,
        batch: 10,
        protocol: None,
        repetitions: 5,
        warm_up: 0,
    };
    let scenario = |scenario: Scenario, latency: Option<Summary>| ScenarioReport {
        scenario,
        runs: 200,
        tasks: 200 * scenario.tasks_of_a_run(),
        creation: summary(None),
        start: summary(Some(0.5)),
        processing: summary(Some(0.5)),
        delivery: latency.map(|latency| Delivery { expected: 400, received: 399, latency: Some(latency) }),
        benchmark: Some(usage),
        server: latency.map(|_| usage),
    };
    let report = |protocol, latency| BenchReport {
        settings: settings.clone(),
        protocol,
        scenarios: Scenario::ALL.map(|one| scenario(one, latency)).to_vec(),
    };
    let reports = [report(Protocol::Single, None), report(Protocol::Batch, Some(summary(Some(0.5))))];
    assert!(reports[0].is_complete() && !reports[1].is_complete());
    assert_fits("bench.v1.json", &reports.map(|report| bench_json(&report, &subject())));
}
