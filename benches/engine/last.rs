//! What completing costs at the beginning and at the end of one large map.

use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;

use crate::args::Args;
use crate::contender::{Contender, complete, read, start};
use crate::flow::{define, start_runs};
use crate::process::{self, Counts};
use crate::server::Place;
use crate::shape::Shape;
use crate::sql::run;

const DATABASE: &str = "large_map";

/// How many completions the figures of the first and the last but one are medians of.
const FEW: usize = 25;

/// Milliseconds for the first, for those just before the last, and for the last.
pub(crate) struct Costs {
    pub(crate) first: f64,
    pub(crate) last_but_one: f64,
    pub(crate) last: f64,
}

/// One connection starts every task of one run, then completes them one by one.
pub(crate) async fn measure(place: &Place, args: &Args, contender: Contender) -> Costs {
    let mut connection = place.database(contender, DATABASE).await;
    for (flow, shape) in [("warm", Shape::Map(50)), ("flow", Shape::Map(args.map))] {
        define(&mut connection, contender, shape, flow).await;
        start_runs(&mut connection, contender, shape, flow, 1).await;
    }
    run(&mut connection, "vacuum analyze").await;
    drop(process::workers(place, args, contender, DATABASE).await);
    complete_map(&mut connection, contender, "warm", 50).await;
    let took = complete_map(&mut connection, contender, "flow", args.map).await;
    process::check(&mut connection, contender, "flow", Counts::default().and(1, args.map)).await;
    drop(connection);
    place.drop(DATABASE).await;
    Costs {
        first: middle(&took[..FEW]),
        last_but_one: middle(&took[args.map - 1 - FEW..args.map - 1]),
        last: millis(took[args.map - 1]),
    }
}

async fn complete_map(connection: &mut PgConnection, contender: Contender, flow: &str, tasks: usize) -> Vec<Duration> {
    let mut started = Vec::new();
    while started.len() < tasks {
        let messages = read(connection, flow, 100).await.expect("messages");
        assert!(!messages.is_empty(), "{}: only {} of {tasks} messages", contender.name(), started.len());
        started.extend(start(connection, flow, &messages, process::FIRST_WORKER).await.expect("tasks"));
    }
    let mut took = Vec::new();
    for task in &started {
        let begin = Instant::now();
        complete(connection, Shape::Map(tasks), task)
            .await
            .unwrap_or_else(|error| panic!("{}: {error}", contender.name()));
        took.push(begin.elapsed());
    }
    took
}

fn middle(took: &[Duration]) -> f64 {
    let mut took = took.to_vec();
    took.sort();
    millis(took[took.len() / 2])
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1000.0
}
