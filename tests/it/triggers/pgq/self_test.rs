//! The self-test of PgQ's functions: failures, clean-up, and concurrency.

use std::process::{Child, Command, Stdio};

use flowsmith_postgres::engine::doctor::{CheckStatus, doctor};

use super::{CONTENTS, PARTS, checks, eventually, existing_queue, named, with_pgq};
use crate::engine::definitions::{execute, text};
use crate::fixture::command::Project;
use crate::shared::skip;

#[tokio::test]
async fn checks_pass_and_touch_only_scratch_queue() {
    let Some(database) = with_pgq().await else { return };
    let c = &mut database.connect().await;
    existing_queue(c).await;
    let before = text(c, CONTENTS).await;
    let checks = checks(c).await;
    let bad: Vec<_> = checks.iter().filter(|check| check.status != CheckStatus::Ok).collect();
    assert!(bad.is_empty(), "{bad:#?}");
    let parts: Vec<_> = checks.iter().filter_map(|check| check.name.strip_prefix("pgq self-test: ")).collect();
    assert_eq!(parts, PARTS);
    assert_eq!(text(c, CONTENTS).await, before);

    let installed = text(c, "select 'PgQ ' || pgq.version()").await.unwrap();
    assert_eq!(named(&checks, "pgq version").detail, installed);
    assert!(named(&checks, "pgq queues").detail.starts_with("imports: 1 events since the last tick"), "{checks:#?}");
    let consumers = &named(&checks, "pgq consumers").detail;
    assert!(consumers.starts_with("loader of imports: 0 s behind, about "), "{consumers}");
    assert!(consumers.contains(", in batch "), "{consumers}");
    let throughput = &named(&checks, "pgq self-test: throughput").detail;
    let numbers: Vec<f64> = throughput.split([' ', ',', ':']).filter_map(|word| word.parse().ok()).collect();
    let [events, at_once, inserted, consumed] = numbers[..] else { panic!("{throughput}") };
    assert!(events >= at_once && inserted > 0.0 && consumed > 0.0, "{throughput}");
}

/// Each function loses its effect in turn: its check fails, dependent checks are skipped, and the queue is dropped.
#[tokio::test]
async fn failures_are_found_by_their_check() {
    let broken = [
        ("insert_event(queue_name text, ev_type text, ev_data text) returns bigint", "0", "insert", 6),
        ("register_consumer(x_queue_name text, x_consumer_id text) returns integer", "1", "register", 7),
        ("ticker(i_queue_name text) returns bigint", "null", "tick", 7),
        ("finish_batch(x_batch_id bigint) returns integer", "1", "next batch", 5),
        (
            "event_retry(x_batch_id bigint, x_event_id bigint, x_retry_seconds integer) returns integer",
            "1",
            "event retry",
            1,
        ),
        ("batch_retry(i_batch_id bigint, i_retry_seconds integer) returns integer", "2", "batch retry", 0),
        ("unregister_consumer(x_queue_name text, x_consumer_name text) returns integer", "1", "unregister", 0),
    ];
    for (function, answer, part, skipped) in broken {
        let Some(database) = with_pgq().await else { return };
        let c = &mut database.connect().await;
        execute(
            c,
            &format!("create or replace function pgq.{function} language plpgsql as $$ begin return {answer}; end $$"),
        )
        .await;
        let checks = checks(c).await;
        let found = named(&checks, &format!("pgq self-test: {part}"));
        assert_eq!(found.status, CheckStatus::Failed, "{function}: {checks:#?}");
        let skips = checks.iter().filter(|check| check.detail.ends_with(" did not pass")).count();
        assert_eq!(skips, skipped, "{function}: {checks:#?}");
        if part != "unregister" {
            assert_eq!(text(c, "select count(*) from pgq.queue").await.as_deref(), Some("0"), "{function}");
        }
    }
}

#[tokio::test]
async fn scratch_queue_of_an_interrupted_doctor_is_removed() {
    const SCRATCH: &str = "select count(*) from pgq.queue where queue_name ~ '^flowsmith_doctor_scratch_'";
    let Some(database) = with_pgq().await else { return };
    let c = &mut database.connect().await;
    let mut interrupted = database.connect().await;
    let backend = text(&mut interrupted, "select pg_backend_pid()").await.unwrap();
    let audit = tokio::spawn(async move { doctor(&mut interrupted).await });
    eventually("a scratch queue", async || text(c, SCRATCH).await.as_deref() == Some("1")).await;
    execute(c, &format!("select pg_terminate_backend({backend})")).await;
    assert!(audit.await.unwrap().is_err());
    assert_eq!(text(c, SCRATCH).await.as_deref(), Some("1"));

    // One of these queues belongs to a running doctor, and one was not created by a doctor.
    let mine = text(c, "select 'flowsmith_doctor_scratch_' || pg_backend_pid() || '_0123456789ab'").await.unwrap();
    execute(c, &format!("select pgq.create_queue('{mine}'), pgq.create_queue('flowsmith_doctor_scratch_mine')")).await;
    let other = &mut database.connect().await;
    eventually("the backend's end", async || {
        text(c, &format!("select count(*) from pg_stat_activity where pid = {backend}")).await.as_deref() == Some("0")
    })
    .await;
    let found = checks(other).await;
    assert_eq!(named(&found, "pgq self-test: create").detail, "dropped 1 scratch queues of an interrupted doctor");
    assert_eq!(text(c, SCRATCH).await.as_deref(), Some("2"));
    // Behind a pooler, backends outlive the doctor, so the age of the queue decides.
    execute(c, "update pgq.queue set queue_switch_time = now() - interval '11 minutes'").await;
    assert_eq!(
        named(&checks(other).await, "pgq self-test: create").detail,
        "dropped 1 scratch queues of an interrupted doctor"
    );
    assert_eq!(
        text(c, "(select string_agg(queue_name, ' ') from pgq.queue)").await.as_deref(),
        Some("flowsmith_doctor_scratch_mine")
    );
}

/// A pgqd process that is killed at the end of the test.
struct Ticker(Child);

impl Drop for Ticker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn checks_pass_beside_a_running_pgqd() {
    let Some(database) = with_pgq().await else { return };
    if Command::new("pgqd").arg("-V").stdout(Stdio::null()).status().is_err() {
        return skip("there is no pgqd on this machine");
    }
    let c = &mut database.connect().await;
    execute(c, "select pgq.create_queue('imports')").await;
    execute(c, "update pgq.tick set tick_time = now() - interval '10 minutes'").await;
    assert_eq!(named(&checks(c).await, "pgq ticker").status, CheckStatus::Failed);

    let options = database.options();
    let (socket, port) = (options.get_socket().unwrap().display().to_string(), options.get_port());
    let name = options.get_database().unwrap();
    let project = Project::on(&database);
    let (log, pid) = (project.path("pgqd.log"), project.path("pgqd.pid"));
    project.write(
        "pgqd.ini",
        &format!(
            "[pgqd]\nbase_connstr = host={socket} port={port} user=postgres\ninitial_database = {name}\ndatabase_list = {name}\nlogfile = {}\npidfile = {}\nticker_period = 0.01\nretry_period = 0.01\nmaint_period = 0.01\n",
            log.display(),
            pid.display()
        ),
    );
    let mut pgqd = Command::new("pgqd");
    pgqd.arg(project.path("pgqd.ini")).stdout(Stdio::null()).stderr(Stdio::null());
    let _pgqd = Ticker(pgqd.spawn().unwrap());
    eventually("a tick of pgqd", async || named(&checks(c).await, "pgq ticker").status == CheckStatus::Ok).await;
    for _ in 0..5 {
        let found = checks(c).await;
        let bad: Vec<_> = found.iter().filter(|check| check.status != CheckStatus::Ok).collect();
        assert!(bad.is_empty(), "{bad:#?}");
    }
}

#[tokio::test]
async fn concurrent_doctors_do_not_interfere() {
    let Some(database) = with_pgq().await else { return };
    let (a, b) = (&mut database.connect().await, &mut database.connect().await);
    for found in <[_; 2]>::from(tokio::join!(checks(a), checks(b))) {
        let bad: Vec<_> = found.iter().filter(|check| check.status != CheckStatus::Ok).collect();
        assert!(bad.is_empty(), "{bad:#?}");
    }
    assert_eq!(text(a, "select count(*) from pgq.queue").await.as_deref(), Some("0"));
}

#[tokio::test]
async fn foreign_lock_is_not_waited_for_and_its_queue_is_named() {
    let Some(database) = with_pgq().await else { return };
    let holder = &mut database.connect().await;
    execute(holder, "begin; lock table pgq.subscription in access exclusive mode").await;
    let c = &mut database.connect().await;
    let found = checks(c).await;
    assert_eq!(named(&found, "pgq consumers").status, CheckStatus::Skipped, "{found:#?}");
    let register = named(&found, "pgq self-test: register");
    assert_eq!(register.status, CheckStatus::Skipped);
    assert!(register.detail.contains("lock timeout"), "{register:?}");
    let cleanup = named(&found, "pgq self-test: cleanup");
    assert_eq!(cleanup.status, CheckStatus::Failed);
    let left = text(holder, "(select queue_name from pgq.queue)").await.unwrap();
    assert!(cleanup.detail.contains(&left) && cleanup.advice.as_ref().unwrap().contains(&left), "{cleanup:?}");
    execute(holder, "commit").await;
    execute(holder, &format!("select pgq.drop_queue('{left}', true)")).await;
}
