//! Strikes while the workers work, and waits until they have done everything.

use std::time::{Duration, Instant};

use super::PATIENCE;
use super::blows::{Blow, Victim};
use super::client::Client;
use super::crew::Crew;
use super::stage::Stage;
use super::verdict::what_is_left;

/// Deals out all blows, each when its time has come.
pub(super) async fn strike(stage: &mut Stage, crew: &mut Crew, blows: &[Blow]) {
    let mut dice = stage.size.dice(4);
    let mut observer = stage.observer();
    for blow in blows {
        until_completed(stage, crew, blow.at).await;
        match blow.victim {
            Victim::Worker => {
                let victim = dice.throw(crew.len());
                kill_worker(stage, crew, victim, &mut observer).await;
            }
            Victim::Server => {
                stage.server.kill().await;
                stage.server.restart().await;
            }
            Victim::Pooler => {
                let losses = crew.losses();
                stage.pooler.stop();
                let deadline = Instant::now() + PATIENCE;
                while crew.losses() == losses {
                    assert!(Instant::now() < deadline, "no worker misses the pooler\n{}", crew.last_words());
                    crew.supervise(stage);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                stage.pooler.restart().await;
            }
        }
    }
}

/// Kills a worker that has tasks in hand, unless there are no more to be had.
async fn kill_worker(stage: &Stage, crew: &mut Crew, victim: usize, observer: &mut Client) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        crew.supervise(stage);
        let in_hand = format!("select count(*) {}", in_hands_of(&[crew.name(victim).to_owned()]));
        let all = format!("select count(*) = {} from pgflow.runs where status = 'completed'", stage.size.runs);
        if observer.count(&in_hand).await > 0 || observer.ask(&all).await == "t" {
            break;
        }
        assert!(Instant::now() < deadline, "a worker gets nothing to do\n{}", crew.last_words());
    }
    crew.replace(stage, victim);
    crew.orphans +=
        observer.count(&format!("select count(*) {}", in_hands_of(&crew.dead[crew.dead.len() - 1..]))).await;
}

fn in_hands_of(workers: &[String]) -> String {
    format!(
        "from pgflow.step_tasks t join pgflow.workers w on w.worker_id = t.last_worker_id
         where t.status = 'started' and w.function_name = any ('{{{}}}')",
        workers.join(",")
    )
}

/// Waits until so many runs are completed; none may fail.
pub(super) async fn until_completed(stage: &Stage, crew: &mut Crew, runs: usize) {
    let mut observer = stage.observer();
    let (mut completed, mut deadline) = (0, Instant::now() + PATIENCE);
    loop {
        crew.supervise(stage);
        if stage.size.moves_time() {
            let pass = format!(
                "update pgflow.step_tasks set queued_at = queued_at - interval '1 hour', started_at = started_at - interval '1 hour'
                 where (run_id, step_slug, task_index) in (select t.run_id, t.step_slug, t.task_index {});
                 select pgflow.requeue_stalled_tasks()",
                in_hands_of(&crew.dead)
            );
            observer.ask(&pass).await;
        }
        let counts = "select count(*) filter (where status = 'completed'), count(*) filter (where status = 'failed')
                      from pgflow.runs";
        let counts = observer.ask(counts).await;
        let (now, failed) = counts.split_once('|').unwrap();
        let now = now.parse().unwrap();
        if failed != "0" || now <= completed && Instant::now() > deadline {
            let left = what_is_left(stage, &mut observer).await;
            panic!("{failed} runs have failed, and no more than {now} complete\n{left}\n{}", crew.last_words());
        }
        if now >= runs {
            return;
        }
        if now > completed {
            (completed, deadline) = (now, Instant::now() + PATIENCE);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
