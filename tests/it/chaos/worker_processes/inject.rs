//! Injecting faults while the workers run, and waiting for progress.

use std::time::{Duration, Instant};

use super::PROGRESS_TIMEOUT;
use super::assertions::unfinished_runs;
use super::client::Client;
use super::faults::{Fault, Target};
use super::fixture::Fixture;
use super::workers::Workers;

/// Injects all faults in order.
pub(super) async fn inject(fixture: &mut Fixture, workers: &mut Workers, faults: &[Fault]) {
    let mut random = fixture.size.random(4);
    let mut observer = fixture.observer();
    for fault in faults {
        until_completed(fixture, workers, fault.at).await;
        match fault.target {
            Target::Worker => {
                let at = random.below(workers.len());
                kill_worker(fixture, workers, at, &mut observer).await;
            }
            Target::Server => {
                fixture.server.kill().await;
                fixture.server.restart().await;
            }
            Target::Pooler => {
                let losses = workers.losses();
                fixture.pooler.stop();
                let deadline = Instant::now() + PROGRESS_TIMEOUT;
                while workers.losses() == losses {
                    assert!(
                        Instant::now() < deadline,
                        "no worker notices the loss of the pooler\n{}",
                        workers.last_lines()
                    );
                    workers.supervise(fixture);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                fixture.pooler.restart().await;
            }
        }
    }
}

/// Kills a worker with claimed tasks; one without, if no tasks are left.
async fn kill_worker(fixture: &Fixture, workers: &mut Workers, at: usize, observer: &mut Client) {
    let deadline = Instant::now() + PROGRESS_TIMEOUT;
    loop {
        workers.supervise(fixture);
        let claimed = format!("select count(*) {}", claimed_by(&[workers.name(at).to_owned()]));
        let all = format!("select count(*) = {} from pgflow.runs where status = 'completed'", fixture.size.runs);
        if observer.count(&claimed).await > 0 || observer.query(&all).await == "t" {
            break;
        }
        assert!(Instant::now() < deadline, "a worker claims no task\n{}", workers.last_lines());
    }
    workers.replace(fixture, at);
    workers.orphans +=
        observer.count(&format!("select count(*) {}", claimed_by(&workers.killed[workers.killed.len() - 1..]))).await;
}

fn claimed_by(workers: &[String]) -> String {
    format!(
        "from pgflow.step_tasks t join pgflow.workers w on w.worker_id = t.last_worker_id
         where t.status = 'started' and w.function_name = any ('{{{}}}')",
        workers.join(",")
    )
}

/// Waits until this number of runs has completed. None may fail.
pub(super) async fn until_completed(fixture: &Fixture, workers: &mut Workers, runs: usize) {
    let mut observer = fixture.observer();
    let (mut completed, mut deadline) = (0, Instant::now() + PROGRESS_TIMEOUT);
    loop {
        workers.supervise(fixture);
        if fixture.size.advances_time() {
            let advance = format!(
                "update pgflow.step_tasks set queued_at = queued_at - interval '1 hour', started_at = started_at - interval '1 hour'
                 where (run_id, step_slug, task_index) in (select t.run_id, t.step_slug, t.task_index {});
                 select pgflow.requeue_stalled_tasks()",
                claimed_by(&workers.killed)
            );
            observer.query(&advance).await;
        }
        let counts = "select count(*) filter (where status = 'completed'), count(*) filter (where status = 'failed')
                      from pgflow.runs";
        let counts = observer.query(counts).await;
        let (now, failed) = counts.split_once('|').unwrap();
        let now = now.parse().unwrap();
        if failed != "0" || now <= completed && Instant::now() > deadline {
            let unfinished = unfinished_runs(fixture, &mut observer).await;
            panic!("{failed} runs have failed, and only {now} complete\n{unfinished}\n{}", workers.last_lines());
        }
        if now >= runs {
            return;
        }
        if now > completed {
            (completed, deadline) = (now, Instant::now() + PROGRESS_TIMEOUT);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
