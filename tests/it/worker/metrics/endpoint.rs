//! The responses of the endpoint: correct figures within a bounded time, even if the database is unavailable.

use flowsmith_core::diagnostic::Diagnostic as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flowsmith_postgres::engine::install::{InputStyle, install};
use flowsmith_worker::{Event, HandlerError, Worker, WorkerError};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sqlx::ConnectOptions as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot};

use super::{Endpoint, echo};
use crate::devserver::postmaster;
use crate::engine::definitions::execute;
use crate::fixture::command::{flowsmith_engine, official_engine, old_official_engine};
use crate::fixture::{self, Database};
use crate::worker::{Events, Fixture, WAIT_TIMEOUT};

/// A flow whose step `a` waits, and whose step `b` fails permanently after one retry.
const FLOW: &str = "select pgflow.create_flow('f', max_attempts => 2, base_delay => 0);
     select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b', '{a}')";

/// Options for a separate server with `synchronous_commit`, so that commits survive a kill.
fn options(server: &flowsmith_devserver::Server) -> sqlx::postgres::PgConnectOptions {
    server.connect_options("metrics").options([("synchronous_commit", "on")])
}

/// The name of a series.
fn of(metric: &str, labels: &str) -> String {
    format!("flowsmith_{metric}{{{labels}}}")
}

#[tokio::test]
async fn worker_and_database_metrics_are_correct_on_every_engine() {
    // Concurrently, because figures are cached for some seconds.
    tokio::join!(
        assert_metrics(flowsmith_engine().await),
        assert_metrics(official_engine().await),
        assert_metrics(old_official_engine().await)
    );
}

async fn assert_metrics(database: Database) {
    let mut fixture = Fixture::on(database, FLOW).await;
    let gate = Arc::new(Semaphore::new(0));
    let waits = {
        let gate = Arc::clone(&gate);
        move |_: Value, _| {
            let gate = Arc::clone(&gate);
            async move {
                gate.acquire().await.unwrap().forget();
                Ok(1)
            }
        }
    };
    let fails = |_: Value, _| async move { Err::<(), _>(HandlerError::retry("no")) };
    let builder = fixture.builder().concurrency(1).metrics("127.0.0.1:0");
    let worker = fixture.work(builder.flow("f").step("a", waits).step("b", fails)).await;
    let endpoint = Endpoint::of(&fixture.events).await;
    // Every series exists from the start, so that rates begin at 0.
    let metrics = endpoint.metrics().await;
    for outcome in ["completed", "failed", "late"] {
        let labels = format!("flow=\"f\",step=\"b\",outcome=\"{outcome}\"");
        assert_eq!(metrics[&of("worker_tasks_total", &labels)], 0.0);
    }
    assert_eq!(metrics["flowsmith_worker_concurrency"], 1.0);
    assert_eq!(metrics["flowsmith_database_up"], 1.0);

    for _ in 0..3 {
        fixture.start("f", "{}").await;
    }
    endpoint.until(&of("worker_tasks_in_flight", "flow=\"f\",step=\"a\""), Some(1.0)).await;
    let metrics = endpoint.until(&of("queue_tasks_in_flight", "flow=\"f\""), Some(1.0)).await;
    assert_eq!(metrics[&of("runs_under_way", "flow=\"f\"")], 3.0);
    assert_eq!(metrics[&of("queue_messages", "flow=\"f\"")], 3.0);
    assert_eq!(metrics[&of("queue_waiting_messages", "flow=\"f\"")], 2.0);
    assert!(metrics[&of("queue_lag_seconds", "flow=\"f\"")] > 0.0);
    assert_eq!(metrics[&of("workers_alive", "flow=\"f\"")], 1.0);
    assert_eq!(metrics[&of("tasks_stalled", "flow=\"f\",step=\"\"")], 0.0);

    gate.add_permits(3);
    let failed = of("worker_tasks_total", "flow=\"f\",step=\"b\",outcome=\"failed\"");
    let metrics = endpoint.until(&failed, Some(3.0)).await;
    assert_eq!(metrics[&of("worker_tasks_total", "flow=\"f\",step=\"a\",outcome=\"completed\"")], 3.0);
    assert_eq!(metrics[&of("worker_task_retries_total", "flow=\"f\",step=\"b\"")], 3.0);
    assert_eq!(metrics[&of("worker_task_duration_seconds_count", "flow=\"f\",step=\"a\"")], 3.0);
    assert_eq!(metrics[&of("worker_task_duration_seconds_count", "flow=\"f\",step=\"b\"")], 6.0);
    assert_eq!(metrics[&of("worker_task_duration_seconds_bucket", "flow=\"f\",step=\"b\",le=\"+Inf\"")], 6.0);
    assert!(metrics[&of("worker_task_duration_seconds_sum", "flow=\"f\",step=\"a\"")] > 0.0);
    let heartbeat = fixture.text("(select extract(epoch from max(last_heartbeat_at))::text from pgflow.workers)").await;
    let reported = endpoint.metrics().await["flowsmith_worker_last_heartbeat_timestamp_seconds"];
    assert!((reported - heartbeat.parse::<f64>().unwrap()).abs() < 10.0, "{reported} {heartbeat}");
    let metrics = endpoint.until(&of("runs_under_way", "flow=\"f\""), Some(0.0)).await;
    assert_eq!(metrics[&of("runs_ended_recently", "flow=\"f\",outcome=\"failed\"")], 3.0);
    assert_eq!(metrics[&of("queue_waiting_messages", "flow=\"f\"")], 0.0);
    worker.stop().await;
    assert!(TcpStream::connect(endpoint.0).await.is_err(), "the endpoint outlives its worker");
}

#[tokio::test]
async fn stalled_tasks_silent_workers_and_paused_flows_are_reported() {
    let fixture = Fixture::with(
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a');
         select pgflow.create_flow('old'); select pgflow.add_step('old', 'x'); select pgflow.start_flow('old', '{}');
         update pgflow.step_tasks set queued_at = now() - interval '5 minutes';
         update pgmq.q_old set vt = now() - interval '5 minutes';
         insert into pgflow.workers (worker_id, queue_name, function_name, last_heartbeat_at)
         values (gen_random_uuid(), 'old', 'gone', now() - interval '10 minutes');
         select pgflow.pause_flow('f')",
    )
    .await;
    let worker = fixture.work(fixture.builder().metrics("127.0.0.1:0").flow("f").step("a", echo)).await;
    let endpoint = Endpoint::of(&fixture.events).await;
    let metrics = endpoint.metrics().await;
    assert_eq!(metrics[&of("tasks_stalled", "flow=\"old\",step=\"x\"")], 1.0);
    assert_eq!(metrics[&of("workers_silent", "flow=\"old\"")], 1.0);
    assert_eq!(metrics[&of("workers_alive", "flow=\"old\"")], 0.0);
    assert_eq!(metrics[&of("flow_paused", "flow=\"f\"")], 1.0);
    assert_eq!(metrics[&of("flow_paused", "flow=\"old\"")], 0.0);
    assert!(metrics[&of("queue_lag_seconds", "flow=\"old\"")] >= 300.0);
    worker.stop().await;
}

#[tokio::test]
async fn only_get_and_head_of_two_pages_are_answered() {
    let mut fixture = Fixture::with(FLOW).await;
    let builder = fixture.builder().metrics("127.0.0.1:0").flow("f").step("a", echo).step("b", echo);
    let worker = fixture.work(builder).await;
    let endpoint = Endpoint::of(&fixture.events).await;
    fixture.until("(select count(*) = 1 from pgflow.workers)").await;
    let metrics = endpoint.get("/metrics?x=1").await;
    assert_eq!(metrics.status, 200);
    assert!(metrics.head.contains("content-type: text/plain; version=0.0.4"), "{}", metrics.head);
    let health = endpoint.get("/healthz").await;
    assert_eq!((health.status, health.body.as_str()), (200, "ok\n"));
    for path in ["/", "/metrics/", "/..%2f", "/healthz2"] {
        assert_eq!(endpoint.get(path).await.status, 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let answer = endpoint.ask(format!("{method} /metrics HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await;
        assert!(answer.status == 405 && answer.head.contains("allow: get, head"), "{method}: {}", answer.head);
    }
    let head = endpoint.ask(b"HEAD /metrics HTTP/1.1\r\nhost: x\r\n\r\n").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    let long = format!("GET /metrics HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(9000));
    assert_eq!(endpoint.ask(long.as_bytes()).await.status, 431);
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(65));
    assert_eq!(endpoint.ask(many.as_bytes()).await.status, 431);
    assert_eq!(endpoint.ask(b"\x16\x03\x01 this is no HTTP\r\n\r\n").await.status, 400);
    // A client that never completes its request is disconnected, and does not block others.
    let began = Instant::now();
    let (slow, other) = tokio::join!(endpoint.ask(b"GET /metrics HTTP/1.1\r\nhost"), async {
        let answer = endpoint.get("/metrics").await;
        (answer.status, began.elapsed())
    });
    assert!(slow.status == 0 || slow.status == 408, "{}", slow.head);
    assert!(other.0 == 200 && other.1 < began.elapsed(), "{other:?}");
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    worker.stop().await;
}

#[tokio::test]
async fn concurrent_requests_share_one_sample() {
    let mut fixture = Fixture::with(FLOW).await;
    let builder = fixture.builder().metrics("127.0.0.1:0").flow("f").step("a", echo).step("b", echo);
    let worker = fixture.work(builder).await;
    let endpoint = Endpoint::of(&fixture.events).await;
    let asked = futures_util::future::join_all((0..50).map(|_| endpoint.metrics())).await;
    let sampled: Vec<f64> =
        asked.iter().map(|metrics| metrics["flowsmith_database_sample_timestamp_seconds"]).collect();
    // There are two samples only if reading took longer than the cache time.
    let mut different = sampled.clone();
    different.dedup();
    assert!(different.len() <= 2, "{different:?}");
    let sessions = "(select count(*) from pg_stat_activity where datname = current_database() and application_name = 'flowsmith metrics')";
    assert_eq!(fixture.text(sessions).await, "1");
    worker.stop().await;
}

#[tokio::test]
async fn unresponsive_database_does_not_block_requests() {
    let mut fixture = Fixture::with(FLOW).await;
    let builder = fixture.builder().metrics("127.0.0.1:0").flow("f").step("a", echo).step("b", echo);
    let worker = fixture.work(builder).await;
    let endpoint = Endpoint::of(&fixture.events).await;
    fixture.until("(select count(*) = 1 from pgflow.workers)").await;
    execute(&mut fixture.c, "begin; lock table pgmq.q_f in access exclusive mode").await;
    let began = Instant::now();
    let answers = futures_util::future::join_all((0..5).map(|_| endpoint.metrics())).await;
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
    for metrics in answers {
        assert_eq!(metrics["flowsmith_database_up"], 0.0);
        assert_eq!(metrics[&of("database_error", "code=\"FS902\"")], 1.0);
        assert!(!metrics.contains_key(&of("runs_under_way", "flow=\"f\"")), "{metrics:#?}");
        assert_eq!(metrics[&of("worker_tasks_total", "flow=\"f\",step=\"a\",outcome=\"completed\"")], 0.0);
    }
    let sessions = "(select count(*) from pg_stat_activity where datname = current_database() and application_name = 'flowsmith metrics')";
    assert_eq!(fixture.text(sessions).await, "1");
    // The server cancels the query, even if the worker is killed.
    let limited = "(select query like '%set local statement_timeout = 10000;%' from pg_stat_activity where datname = current_database() and application_name = 'flowsmith metrics')";
    assert_eq!(fixture.text(limited).await, "true");
    execute(&mut fixture.c, "rollback").await;
    let metrics = endpoint.until("flowsmith_database_up", Some(1.0)).await;
    assert!(!metrics.contains_key(&of("database_error", "code=\"FS902\"")));
    worker.stop().await;
}

#[tokio::test]
async fn health_follows_the_database_and_the_shutdown() {
    let folder = fixture::new_folder("killed_under_metrics");
    let mut server = fixture::start_server(&folder);
    server.ensure_database("metrics").await.unwrap();
    install(&options(&server), InputStyle::Separate).await.unwrap();
    let mut c = options(&server).connect().await.unwrap();
    execute(&mut c, FLOW).await;
    // A symbolic link to the socket folder of the current server.
    let socket = folder.with_extension("socket");
    let point = |server: &flowsmith_devserver::Server| {
        let _ = std::fs::remove_file(&socket);
        std::os::unix::fs::symlink(options(server).get_socket().unwrap(), &socket).unwrap();
    };
    point(&server);
    let events = Events::default();
    let (gate, begun) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let waits = {
        let (gate, begun) = (Arc::clone(&gate), Arc::clone(&begun));
        move |_: Value, _| {
            let (gate, begun) = (Arc::clone(&gate), Arc::clone(&begun));
            async move {
                begun.add_permits(1);
                gate.acquire().await.unwrap().forget();
                Ok(1)
            }
        }
    };
    let heard = events.clone();
    let builder = Worker::builder().observe(move |event| heard.0.lock().unwrap().push(event.clone()));
    let target = flowsmith_postgres::database::Target::new(options(&server).socket(&socket));
    let builder = builder.metrics("127.0.0.1:0").flow("f").step("a", waits).step("b", echo);
    let worker = builder.connect(&target).await.unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let working = tokio::spawn(worker.run(async move { stopped.await.unwrap_or(()) }));
    let endpoint = Endpoint::of(&events).await;
    endpoint.until("flowsmith_worker_polling", Some(1.0)).await;
    assert_eq!(endpoint.get("/healthz").await.status, 200);

    kill_process(Pid::from_raw(postmaster(&folder)).unwrap(), Signal::KILL).unwrap();
    let lost = endpoint.until_health(503).await;
    assert!(lost.body.contains("the connection to the database is lost"), "{}", lost.body);
    let metrics = endpoint.until("flowsmith_database_up", Some(0.0)).await;
    let codes: Vec<&String> = metrics.keys().filter(|key| key.starts_with("flowsmith_database_error{")).collect();
    assert!(codes.len() == 1 && codes[0].contains("code=\"FS90"), "{codes:?}");
    assert_eq!(endpoint.metrics().await["flowsmith_worker_polling"], 0.0);

    let again = folder.clone();
    let killed = server;
    server = tokio::task::spawn_blocking(move || fixture::start_server(&again)).await.unwrap();
    point(&server);
    endpoint.until_health(200).await;
    let metrics = endpoint.until("flowsmith_database_up", Some(1.0)).await;
    assert!(metrics["flowsmith_worker_reconnects_total"] >= 1.0, "{metrics:#?}");
    assert!(metrics["flowsmith_worker_connections_lost_total"] >= 1.0, "{metrics:#?}");

    // The worker is unhealthy while it drains.
    let mut c = options(&server).connect().await.unwrap();
    execute(&mut c, "select pgflow.start_flow('f', '{}')").await;
    tokio::time::timeout(WAIT_TIMEOUT, begun.acquire()).await.unwrap().unwrap().forget();
    stop.send(()).unwrap();
    events.wait(|event| matches!(event, Event::Draining { .. })).await;
    let draining = endpoint.get("/healthz").await;
    assert!(draining.status == 503 && draining.body.contains("draining"), "{} {}", draining.status, draining.body);
    assert_eq!(endpoint.metrics().await["flowsmith_worker_polling"], 0.0);
    gate.add_permits(1);
    tokio::time::timeout(WAIT_TIMEOUT, working).await.unwrap().unwrap().unwrap();
    drop((server, killed));
}

#[tokio::test]
async fn address_in_use_is_an_error_before_registration() {
    let mut fixture = Fixture::with(FLOW).await;
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (address, why) in [(address.as_str(), "in use"), ("192.0.2.1:9187", "assign"), ("no.such.invalid:1", "lookup")]
    {
        let builder = fixture.builder().metrics(address).flow("f").step("a", echo).step("b", echo);
        let refused = builder.connect(&fixture.target()).await.err().expect("an error");
        assert!(matches!(refused, WorkerError::Metrics { .. }) && refused.code().as_str() == "FS988", "{refused}");
        let words = refused.to_string();
        assert!(words.starts_with(&format!("cannot serve metrics at {address}: ")) && words.contains(why), "{words}");
    }
    assert_eq!(fixture.text("(select count(*) from pgflow.workers)").await, "0");
}

#[tokio::test]
async fn worker_whose_claims_are_rejected_is_unhealthy() {
    let mut fixture = Fixture::with(FLOW).await;
    let builder = fixture.builder().metrics("127.0.0.1:0").flow("f").step("a", echo).step("b", echo);
    let worker = fixture.work(builder).await;
    let endpoint = Endpoint::of(&fixture.events).await;
    endpoint.until_health(200).await;
    execute(&mut fixture.c, "alter function pgflow.poll_tasks(text, uuid, integer) rename to poll_tasks_of_old").await;
    fixture.start("f", "{}").await;
    let refused = endpoint.until_health(503).await;
    assert_eq!(refused.body, "the database rejects claims of tasks; see the log\n");
    assert_eq!(endpoint.metrics().await["flowsmith_worker_polling"], 0.0);
    execute(&mut fixture.c, "alter function pgflow.poll_tasks_of_old(text, uuid, integer) rename to poll_tasks").await;
    endpoint.until_health(200).await;
    assert_eq!(endpoint.metrics().await["flowsmith_worker_polling"], 1.0);
    worker.stop().await;
}
