//! One walk: calls chosen by a seed, made on the engine and on the model, compared after each.

use std::collections::BTreeMap;

use serde_json::Value;

use super::call::{Address, Call};
use super::engine::{Engine, Snapshot};
use super::flow::Flow;
use super::json;
use super::model::Model;
use super::random::Random;
use super::rules::Event;
use super::run::{Fact, Status, Visible};

/// A walk that really takes longer, on a machine that is busy, is given up: its deadlines may have passed.
const TOO_LONG: f64 = 8.0;

pub(super) struct Walk {
    pub(super) flow: Flow,
    pub(super) is_merged: bool,
    pub(super) calls: Vec<Call>,
}

/// What went otherwise than in the model.
pub(super) struct Difference(pub(super) String);

/// Makes up a walk as it goes. It ends at the first difference.
pub(super) async fn walk(engine: &mut Engine, seed: u64, is_merged: bool) -> (Walk, Result<(), Difference>) {
    let mut random = Random::new(seed);
    let flow = Flow::random(&mut random);
    let mut model = Model::new(flow.clone(), is_merged);
    let mut walk = Walk { flow, is_merged, calls: Vec::new() };
    engine.reset(&walk.flow).await;
    let is_sluggish = random.chance(10);
    for number in 0..6 + random.below(30) {
        let turn = (is_sluggish && random.chance(85)).then_some(number % 3);
        let call = choose(&mut random, &model, turn);
        walk.calls.push(call.clone());
        match step(engine, &mut model, &call).await {
            Ok(elapsed) if elapsed > TOO_LONG => break,
            Ok(_) => {}
            Err(difference) => return (walk, Err(difference)),
        }
    }
    let result = sound(engine).await;
    (walk, result)
}

/// Walks again, with some of its calls perhaps left out.
pub(super) async fn replay(engine: &mut Engine, walk: &Walk) -> Result<(), Difference> {
    let mut model = Model::new(walk.flow.clone(), walk.is_merged);
    engine.reset(&walk.flow).await;
    for call in &walk.calls {
        if model.can(call) && step(engine, &mut model, call).await? > TOO_LONG {
            break;
        }
    }
    sound(engine).await
}

/// Leaves out each call that the difference does not need.
pub(super) async fn shrink(engine: &mut Engine, mut walk: Walk, mut difference: Difference) -> (Walk, Difference) {
    let mut place = walk.calls.len();
    while place > 0 {
        place -= 1;
        let removed = walk.calls.remove(place);
        match replay(engine, &walk).await {
            Err(smaller) => difference = smaller,
            Ok(()) => walk.calls.insert(place, removed),
        }
    }
    (walk, difference)
}

async fn sound(engine: &mut Engine) -> Result<(), Difference> {
    match engine.violations().await {
        found if found.is_empty() => Ok(()),
        found => Err(Difference(format!("pgflow.violations() finds\n  {}\n", found.join("\n  ")))),
    }
}

/// Makes one call on both and compares all there is. Returns the seconds that the walk really took.
async fn step(engine: &mut Engine, model: &mut Model, call: &Call) -> Result<f64, Difference> {
    let returned = engine.call(&call.sql(&model.flow)).await;
    let mut expected = model.apply(call);
    expected.sort();
    let snapshot = engine.snapshot(model.now).await;
    let mut found = String::new();
    if returned != expected {
        found += &format!("the call returned\n  {}\nrather than\n  {}\n", returned.join("\n  "), expected.join("\n  "));
    }
    compare_facts(&mut found, &snapshot, model.facts());
    compare_events(&mut found, &snapshot.events, model);
    if !found.is_empty() && snapshot.elapsed <= TOO_LONG {
        return Err(Difference(found));
    }
    model.learn(&snapshot.numbers());
    Ok(snapshot.elapsed)
}

fn compare_facts(found: &mut String, engine: &Snapshot, mut model: Vec<Fact>) {
    model.sort_by(|(a, _), (b, _)| a.cmp(b));
    // Several messages of one task may be in the archive, so the lines are counted.
    let mut counts: BTreeMap<&str, i32> = BTreeMap::new();
    for (line, _) in &engine.lines {
        *counts.entry(line).or_default() += 1;
    }
    for (line, _) in &model {
        *counts.entry(line).or_default() -= 1;
    }
    for (line, count) in counts.into_iter().filter(|(_, count)| *count != 0) {
        *found += &format!("{} {line}\n", if count > 0 { "engine:" } else { "model: " });
    }
    if !found.is_empty() {
        return;
    }
    for ((line, number), (_, expected)) in engine.lines.iter().zip(&model) {
        let (Some(number), Some(Visible::At(expected))) = (number, expected) else { continue };
        #[expect(clippy::cast_precision_loss, reason = "a few thousand seconds or messages")]
        let expected = *expected as f64;
        // A call sets it to so many seconds after the moment it is made, which lies between the walk's start and now.
        let slack = if line.starts_with("queue") { engine.elapsed } else { 0.0 };
        if *number < expected - 1e-3 || *number > expected + slack + 1e-3 {
            *found += &format!("{line}: engine {number}, model {expected}, {} s after the start\n", engine.elapsed);
        }
    }
}

/// The same events, whatever the order of those that have nothing to do with each other.
fn compare_events(found: &mut String, engine: &[Event], model: &Model) {
    for event in engine.iter().filter(|event| !model.events.contains(event)) {
        *found += &format!("engine: event {} {}\n", event.name, event.payload);
    }
    for event in model.events.iter().filter(|event| !engine.contains(event)) {
        *found += &format!("model:  event {} {}\n", event.name, event.payload);
    }
    if engine.len() != model.events.len() {
        *found += &format!("{} events rather than {}\n", engine.len(), model.events.len());
    }
    for (place, event) in engine.iter().enumerate() {
        let before = || engine[..place].iter().filter(|earlier| earlier.run == event.run);
        if event.name == "run:started" && before().count() > 0 {
            *found += "run:started is not the run's first event\n";
        }
        if before().any(|earlier| earlier.name == "run:completed") {
            *found += &format!("{} comes after run:completed\n", event.name);
        }
        let Some(slug) = event.name.strip_prefix("step:").and_then(|rest| rest.strip_suffix(":completed")) else {
            continue;
        };
        let step = model.flow.steps.iter().position(|step| step.slug == slug).unwrap();
        for dependent in model.flow.all_dependents(step) {
            let prefix = format!("step:{}:", model.flow.steps[dependent].slug);
            // Another dependency may have taken it along before.
            let by_cascade = |event: &&Event| event.payload["skip_reason"] == "dependency_skipped";
            if before().any(|earlier| earlier.name.starts_with(&prefix) && !by_cascade(&earlier)) {
                *found += &format!("{} comes after an event {prefix} of its dependent\n", event.name);
            }
        }
    }
}

/// The next call, more often one that does something. Sluggish workers, in turn, take tasks, let time pass and are found out.
fn choose(random: &mut Random, model: &Model, sluggish_turn: Option<usize>) -> Call {
    let all: Vec<(Address, Status)> = model.tasks();
    let with = |status: Status| -> Vec<Address> {
        all.iter().filter(|(_, other)| *other == status).map(|(task, _)| *task).collect()
    };
    let (queued, started) = (with(Status::Queued), with(Status::Started));
    let all: Vec<Address> = all.into_iter().map(|(task, _)| task).collect();
    let runs: Vec<u8> = model.runs.keys().copied().collect();
    if runs.is_empty() || (runs.len() < 3 && random.chance(8)) {
        let run =
            if !runs.is_empty() && random.chance(10) { runs[0] } else { model.runs.keys().max().unwrap_or(&0) + 1 };
        return Call::StartFlow { run, input: input(random, model) };
    }
    // A late or a wrong callback now and then.
    let one_of = |random: &mut Random, usual: &[Address]| {
        let from = if usual.is_empty() || random.chance(8) { all.as_slice() } else { usual };
        (!from.is_empty()).then(|| random.pick(from))
    };
    let failed: Vec<u8> =
        model.runs.values().filter(|run| run.status == Status::Failed).map(|run| run.number).collect();
    let roll = random.below(100);
    let call = match sluggish_turn.map_or(roll, |turn| [16, 73, 80][turn]) {
        0..16 => Some(Call::Poll { quantity: 1 + random.below(4) }),
        16..30 => {
            let from = if random.chance(10) { &all } else { &queued };
            let tasks = random.some(from, 60);
            (!tasks.is_empty()).then_some(Call::Start { tasks })
        }
        30..55 => one_of(random, &started).map(|task| Call::Complete { task, output: output(random, model, task) }),
        55..61 => {
            let from = if random.chance(20) { &all } else { &started };
            let mut tasks = random.some(from, 70);
            if random.chance(50) {
                tasks.reverse();
            }
            let tasks: Vec<_> = tasks.into_iter().map(|task| (task, output(random, model, task))).collect();
            (!tasks.is_empty()).then_some(Call::CompleteBatch { tasks })
        }
        61..73 => {
            let error = random.pick(&["boom", "late", "no"]).to_owned();
            one_of(random, &started).map(|task| Call::Fail { task, error })
        }
        73..80 => Some(Call::Travel { seconds: random.pick(&[50, 200, 1000, 1000]) }),
        80..87 => Some(Call::RequeueStalled),
        87..90 => {
            let tasks = random.some(&queued, 50).into_iter().map(|task| (task, random.pick(&[0, 30, 70]))).collect();
            Some(Call::Hide { tasks }).filter(|call| !matches!(call, Call::Hide { tasks } if tasks.is_empty()))
        }
        90..92 => Some(Call::Cancel { run: random.pick(&runs), reason: "not needed".to_owned() }),
        92..94 => Some(Call::Pause),
        94 => Some(Call::Prune { older_than: random.pick(&[0, 100]) }),
        _ if model.is_paused => Some(Call::Resume),
        _ if failed.is_empty() && random.chance(90) => None,
        _ => Some(Call::Retry { run: random.pick(if failed.is_empty() { &runs } else { &failed }) }),
    };
    call.unwrap_or(Call::Poll { quantity: 5 })
}

fn input(random: &mut Random, model: &Model) -> Option<Value> {
    match random.below(20) {
        0 => None,
        1 => Some(json::any(random)),
        _ if model.flow.has_root_map() => Some(json::array(random)),
        _ => Some(json::object(random)),
    }
}

/// What a handler returns.
fn output(random: &mut Random, model: &Model, (_, step, _): Address) -> Option<Value> {
    match random.below(20) {
        0 => None,
        1..4 => Some(json::any(random)),
        _ if model.flow.feeds_a_map(step) => Some(json::array(random)),
        _ => Some(json::any(random)),
    }
}
