//! Many tasks and runs with eight workers: every task completes exactly once.

use std::cell::RefCell;
use std::collections::BTreeMap;

use futures_util::future::{join, join_all};

use super::ends::{assert_archived, assert_counts, ends};
use super::events::Events;
use super::shapes::{SHAPES, Shape};
use super::workers::{Protocol, Tally, Worker, work};
use super::{assert_no_violations, connect, engine, load, query};
use crate::fixture::Database;

const WORKERS: usize = 8;

#[tokio::test]
async fn map_of_a_thousand_tasks_keeps_the_order_of_outputs() {
    for protocol in [Protocol::Each, Protocol::Batches] {
        let database = engine(
            "select pgflow.create_flow('f'); select pgflow.add_step('f', 'm', step_type => 'map'); select pgflow.add_step('f', 'z', '{m}')",
        )
        .await;
        let connection = &mut connect(database.options()).await;
        let tasks = 1000 * load();
        let start =
            format!("select pgflow.start_flow('f', (select jsonb_agg(i * 7) from generate_series(1, {tasks}) i))");
        query(connection, &start).await.unwrap();
        let tally = work(&database.options(), WORKERS, &[protocol], &["f"]).await;

        assert_eq!(tally.started.len(), tasks + 1);
        assert_counts(connection, &tally).await;
        let output = "select r.status, s.output = (select jsonb_agg(jsonb_build_object('m', e) order by n)
                        from jsonb_array_elements(r.input) with ordinality i (e, n)), r.output = jsonb_build_object('z',
                        jsonb_build_object('z', jsonb_build_object('m', s.output)))
                      from pgflow.runs r join pgflow.step_states s on s.step_slug = 'm'";
        assert_eq!(query(connection, output).await.unwrap(), "completed|t|t", "{protocol:?}");
        assert_archived(connection, "f").await;
        assert_no_violations(connection).await;
    }
}

/// Runs flows of every shape, and returns the final states by shape.
async fn run_shapes(
    runs: usize,
    workers: usize,
    protocols: &[Protocol],
) -> (Database, Tally, BTreeMap<&'static str, String>) {
    let define: Vec<String> = SHAPES.iter().map(Shape::define).collect();
    let database = engine(&define.join(";")).await;
    let connection = &mut connect(database.options()).await;
    for n in 0..runs {
        let shape = &SHAPES[n % SHAPES.len()];
        query(connection, &format!("select pgflow.start_flow('{}', '{}')", shape.slug, shape.input)).await.unwrap();
    }
    let flows: Vec<&str> = SHAPES.iter().map(|shape| shape.slug).collect();
    let tally = work(&database.options(), workers, protocols, &flows).await;
    assert_no_violations(connection).await;
    let mut found = BTreeMap::new();
    for shape in SHAPES {
        found.insert(shape.slug, ends(connection, shape).await);
    }
    (database, tally, found)
}

#[tokio::test]
async fn concurrent_runs_of_every_shape_end_like_single_runs() {
    let per_shape = 7 * load();
    let (_alone, _, expected) = run_shapes(SHAPES.len(), 1, &[Protocol::Each]).await;
    for shape in SHAPES {
        let expected = &expected[shape.slug];
        assert!(
            expected.starts_with(&format!("{}|", shape.ends)) && expected.ends_with("|1"),
            "{}: {expected}",
            shape.slug
        );
    }
    for protocols in [&[Protocol::Each][..], &[Protocol::Batches], &[Protocol::Each, Protocol::Batches]] {
        let (database, tally, found) = run_shapes(SHAPES.len() * per_shape, WORKERS, protocols).await;
        let connection = &mut connect(database.options()).await;
        for shape in SHAPES {
            let expected = expected[shape.slug].strip_suffix('1').unwrap();
            assert_eq!(found[shape.slug], format!("{expected}{per_shape}"), "{} by {protocols:?}", shape.slug);
            assert_archived(connection, shape.slug).await;
        }
        assert_counts(connection, &tally).await;
    }
}

#[tokio::test]
async fn completions_from_two_sessions_count_once() {
    for protocol in [Protocol::Each, Protocol::Batches] {
        let shapes = SHAPES.iter().filter(|shape| ["chain", "fan", "maps", "root_maps"].contains(&shape.slug));
        let shapes: Vec<&Shape> = shapes.collect();
        let define: Vec<String> = shapes.iter().map(|shape| shape.define()).collect();
        let database = engine(&define.join(";")).await;
        let connection = &mut connect(database.options()).await;
        let events = Events::listen(&database).await;
        for shape in &shapes {
            for _ in 0..3 * load() {
                query(connection, &format!("select pgflow.start_flow('{}', '{}')", shape.slug, shape.input))
                    .await
                    .unwrap();
            }
        }
        let flows: Vec<&str> = shapes.iter().map(|shape| shape.slug).collect();
        let tally = RefCell::default();
        let mut pool = Vec::new();
        for n in 0..4 {
            let worker = Worker::connect(database.options(), n, protocol, &tally).await;
            pool.push(worker.with_second_session(database.options()).await);
        }
        join_all(pool.iter_mut().map(|worker| worker.work(&flows))).await;

        for shape in &shapes {
            assert!(ends(connection, shape).await.starts_with(shape.ends), "{}", shape.slug);
            assert_archived(connection, shape.slug).await;
        }
        drop(pool);
        assert_counts(connection, &tally.into_inner()).await;
        assert_no_violations(connection).await;
        events.assert_received_once(connection).await;
    }
}

#[tokio::test]
async fn run_id_started_by_two_sessions_is_one_run() {
    let database = engine(&SHAPES[1].define()).await;
    let (mut one, mut other) = (connect(database.options()).await, connect(database.options()).await);
    for n in 0..20 * load() {
        let start = format!("select status from pgflow.start_flow('fan', '{{}}', '00000000-0000-0000-0001-{n:012}')");
        let (one, other) = join(query(&mut one, &start), query(&mut other, &start)).await;
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        assert!(one.and(other).unwrap_err().starts_with("23505 "));
    }
    let counts = "select (select count(*) from pgflow.runs), (select count(*) from pgflow.step_tasks), (select count(*) from pgmq.q_fan)";
    let runs = 20 * load();
    assert_eq!(query(&mut one, counts).await.unwrap(), format!("{runs}|{runs}|{runs}"));
    assert_no_violations(&mut one).await;
}
