//! Both databases, call by call.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

use super::call::{Call, Names};
use super::dice::Dice;
use super::flow::Flow;
use super::script::Script;
use super::side::{Outcome, Side, Turn};
use super::state::State;

/// The names in reports.
const EXAMPLE: Names = Names { play: 0 };

pub(super) struct Duel {
    pub(super) names: [&'static str; 2],
    pub(super) sides: [Side; 2],
}

/// A script as it was played, and where it led.
pub(super) struct Play {
    pub(super) flow: Flow,
    pub(super) calls: Vec<Vec<Call>>,
    /// The same as SQL, as it is in a database of its own.
    sql: String,
    /// Kinds of events, SQLSTATEs and what else was seen.
    pub(super) seen: BTreeSet<String>,
    /// What differs after the last call.
    pub(super) difference: Option<String>,
    /// A call took so long that seconds could not be distinguished: the play was abandoned.
    blurred: bool,
}

impl Duel {
    /// Plays the script of a seed.
    pub(super) async fn play_seed(&mut self, seed: u64) -> Play {
        for _ in 0..10 {
            let mut dice = Dice::new(seed);
            let flow = Flow::random(&mut dice);
            let mut script = Script::random(&flow, &mut dice);
            let play = self.play(flow, |state| script.next(state, &mut dice)).await;
            if !play.blurred {
                return play;
            }
        }
        panic!("this machine is too slow: calls took about a second");
    }

    /// Plays a script that differs, and shorter ones that differ too, and says how.
    pub(super) async fn report(&mut self, seed: u64, play: Play) -> String {
        let length = play.calls.len();
        let play = self.shorten(play).await;
        let report = format!(
            "seed {seed}: the engines differ after {} calls (before shortening: {length}).\n\n{}",
            play.calls.len(),
            play.flow.sql(&EXAMPLE.flow())
        );
        report + &play.sql + "\n" + &play.difference.unwrap()
    }

    /// Leaves out what the difference does not need: calls, ever fewer at a time, and steps; over and over, since what one
    /// call or step needs is not needed without it.
    async fn shorten(&mut self, mut play: Play) -> Play {
        loop {
            let before = (play.calls.len(), play.flow.steps.len());
            let mut size = play.calls.len();
            while size > 0 {
                let mut end = play.calls.len();
                while end > 0 {
                    let start = end.saturating_sub(size);
                    let calls = [&play.calls[..start], &play.calls[end..]].concat();
                    if let Some(shorter) = self.replay(play.flow.clone(), calls).await {
                        play = shorter;
                    }
                    end = start.min(play.calls.len());
                }
                size /= 2;
            }
            for transaction in 0..play.calls.len() {
                let mut call = 0;
                while play.calls.get(transaction).is_some_and(|calls| calls.len() > 1 && call < calls.len()) {
                    let mut calls = play.calls.clone();
                    calls[transaction].remove(call);
                    match self.replay(play.flow.clone(), calls).await {
                        Some(shorter) => play = shorter,
                        None => call += 1,
                    }
                }
            }
            for step in play.flow.steps.clone().iter().rev() {
                if let Some(smaller) = self.replay(play.flow.without(&step.slug), play.calls.clone()).await {
                    play = smaller;
                }
            }
            if (play.calls.len(), play.flow.steps.len()) == before {
                return play;
            }
        }
    }

    /// Plays calls that were played before; gives them back up to where the engines differ, if they do.
    async fn replay(&mut self, flow: Flow, calls: Vec<Vec<Call>>) -> Option<Play> {
        let mut calls = calls.into_iter();
        let play = self.play(flow, |_| calls.next()).await;
        play.difference.is_some().then_some(play)
    }

    async fn play(&mut self, flow: Flow, mut next: impl FnMut(&State) -> Option<Vec<Call>>) -> Play {
        // Every play has its own flow and runs, so that nothing of the plays before matters.
        static PLAYS: AtomicU32 = AtomicU32::new(1);
        let names = Names { play: PLAYS.fetch_add(1, Ordering::Relaxed) };
        let mut play = Play {
            flow,
            calls: Vec::new(),
            sql: String::new(),
            seen: BTreeSet::new(),
            difference: None,
            blurred: false,
        };
        let [one, two] = &mut self.sides;
        let (mut one_turn, mut two_turn) = tokio::join!(one.begin(&play.flow, names), two.begin(&play.flow, names));
        loop {
            play.blurred = one_turn.blurred || two_turn.blurred;
            if !play.blurred {
                play.difference = difference(self.names, [&one_turn, &two_turn]);
            }
            if play.blurred || play.difference.is_some() {
                return play;
            }
            play.see(&one_turn);
            let Some(calls) = next(&one_turn.state) else { return play };
            play.sql += &script(&calls, play.calls.len() + 1, &one_turn.state);
            (one_turn, two_turn) =
                tokio::join!(one.play(&calls, names, &one_turn.state), two.play(&calls, names, &two_turn.state));
            play.calls.push(calls);
        }
    }
}

impl Play {
    fn see(&mut self, turn: &Turn) {
        for event in &turn.state.events {
            let payload = &event["payload"];
            let taskless = if payload["remaining_tasks"] == 0 { ", no task" } else { "" };
            self.seen.insert(payload["event_type"].as_str().unwrap().to_owned() + taskless);
        }
        if let Outcome::Error { state, .. } = &turn.outcome {
            self.seen.insert(state.clone());
        }
        for (name, row) in &turn.state.rows {
            if row["error_message"].as_str().is_some_and(|error| error.starts_with("[TYPE_VIOLATION]")) {
                self.seen.insert("wrong type".to_owned());
            }
            if name.starts_with("task") && row["attempts_count"].as_i64() > Some(1) {
                self.seen.insert("retry".to_owned());
            }
        }
    }
}

/// Calls of one transaction, as they are in a database of their own.
fn script(calls: &[Call], number: usize, state: &State) -> String {
    let mut script = String::new();
    for call in calls {
        let ours = call.sql_of_ours(EXAMPLE).map_or(String::new(), |sql| format!("  -- in ours: {sql}"));
        writeln!(script, "select * from {};{ours}", call.sql(EXAMPLE, state)).unwrap();
    }
    if calls.len() == 1 {
        format!("/* {number} */ {script}")
    } else {
        format!("/* {number} */ begin;\n{script}commit;\n")
    }
}

fn difference(names: [&str; 2], turns: [&Turn; 2]) -> Option<String> {
    let [one, two] = turns;
    let mut lines = String::new();
    if one.outcome != two.outcome {
        writeln!(lines, "  result").unwrap();
        for (name, turn) in names.iter().zip(turns) {
            let outcome = match &turn.outcome {
                Outcome::Rows(results) => Value::from(results.clone()).to_string(),
                Outcome::Error { state, message } => format!("error {state}: {message}"),
            };
            writeln!(lines, "    {name:>8}: {outcome}").unwrap();
        }
    }
    lines += &one.state.differences(names, &two.state);
    (!lines.is_empty()).then_some(lines)
}
