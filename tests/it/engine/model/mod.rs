//! Random walks on the engine beside a model of its contract.
//!
//! ```text
//! seed ─► flow, calls (walk, call) ─┬─► the engine (engine, facts.sql)  ─► rows, events, tables ─┐
//!                                   └─► the model (model, run, rules, operations) ─► the same ─┴─► compared after each call
//! ```
//!
//! The model is written from the contract's text. A difference is reported with its seed and the fewest calls that show it.
//! `FLOWSMITH_MODEL_WALKS=100000` walks longer, `FLOWSMITH_MODEL_SEED=7` from another seed on.

mod call;
mod engine;
mod flow;
mod json;
#[expect(clippy::module_inception, reason = "the model is the noun of that file too")]
mod model;
mod operations;
mod random;
mod rules;
mod run;
mod walk;

use engine::{Engine, SIGHTS};
use random::Random;

/// Each has a database, and so time and messages, of its own.
const LANES: u64 = 2;
const WALKS: u64 = 40;

/// In a soak, which reaches every situation.
const MANY_WALKS: u64 = 400;

fn setting(name: &str) -> Option<u64> {
    Some(std::env::var(name).ok()?.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[tokio::test]
async fn engine_equals_the_model_on_random_walks() {
    let first = setting("FLOWSMITH_MODEL_SEED").unwrap_or(1);
    walk(first, setting("FLOWSMITH_MODEL_WALKS").unwrap_or(WALKS)).await;
}

#[tokio::test]
#[ignore = "soak: `cargo soak`"]
async fn engine_equals_the_model_in_every_situation() {
    let unseen = walk(1, MANY_WALKS).await;
    assert!(unseen.is_empty(), "no walk reached {unseen:?}");
}

/// The situations that no walk reached; panics if the engine and the model differ.
async fn walk(first: u64, walks: u64) -> Vec<&'static str> {
    let mut lanes = tokio::task::JoinSet::new();
    for lane in 0..LANES {
        lanes.spawn(walk_lane((first..first + walks).filter(move |seed| seed % LANES == lane), lane == 1));
    }
    let (mut calls, mut unseen) = (0, SIGHTS.to_vec());
    while let Some(lane) = lanes.join_next().await {
        match lane.unwrap() {
            Ok((made, missed)) => {
                calls += made;
                unseen.retain(|sight| missed.contains(sight));
            }
            Err(failure) => panic!("{failure}"),
        }
    }
    assert!(calls >= walks * 6, "{calls} calls in {walks} walks");
    unseen
}

/// How many calls were made and what they did not reach, or how to make the engine and the model differ.
async fn walk_lane(seeds: impl Iterator<Item = u64>, is_merged: bool) -> Result<(u64, Vec<&'static str>), String> {
    let mut engine = Engine::create(is_merged).await;
    let mut calls = 0;
    for seed in seeds {
        let (walk, result) = walk::walk(&mut engine, seed, is_merged).await;
        calls += walk.calls.len() as u64;
        let Err(difference) = result else { continue };
        let (walk, difference) = walk::shrink(&mut engine, walk, difference).await;
        let calls: Vec<_> = walk.calls.iter().map(|call| format!("{};", call.sql(&walk.flow))).collect();
        return Err(format!(
            "FLOWSMITH_MODEL_SEED={seed} FLOWSMITH_MODEL_WALKS=1, input style {}: after the last of these calls\n\n{}{}\n\n{}",
            if is_merged { "merged" } else { "separate" },
            walk.flow.sql(),
            calls.join("\n"),
            difference.0
        ));
    }
    Ok((calls, engine.unseen))
}

#[tokio::test]
async fn model_compares_json_as_postgresql_does() {
    let mut engine = Engine::create(false).await;
    let mut random = Random::new(1);
    let mut contained = 0;
    for _ in 0..300 {
        let (whole, part) = (json::any(&mut random), json::part(&mut random));
        // Only containers nest in the patterns: bare scalars in arrays are a special case at the top that no pattern reaches.
        let (whole, part) = (serde_json::json!({"k": whole}), serde_json::json!({"k": part}));
        let (left, right) = (json::literal(Some(&whole)), json::literal(Some(&part)));
        let sql = format!("select ({left}::jsonb @> {right}::jsonb)::text || ' ' || {left}::jsonb::text");
        let contains = json::contains(&whole, &part);
        assert_eq!(engine.call(&sql).await, [format!("{contains} {}", json::text(&whole))], "{sql}");
        contained += u32::from(contains);
    }
    assert!(contained > 30, "{contained} of 300 contain");
}
