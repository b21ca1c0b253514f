//! What can be seen of a flow after a call, in words that are the same in both databases.
//!
//! A moment becomes the call that it comes from: `#3` is any moment of call 3, since the official engine takes the time at
//! the transaction's begin and ours from the clock. When a message is visible again becomes `#3+60`: 60 seconds after call 3.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write;

use chrono::DateTime;
use serde_json::{Map, Value, json};

use super::call::{Task, run_number};

/// Columns and keys that level 0.8.1 does not have. Ours keeps more; what that is has tests of its own.
const NOT_IN_0_8_1: [&str; 10] = [
    "flow_input",
    "forbidden_input_pattern",
    "last_requeued_at",
    "permanently_stalled_at",
    "requeued_count",
    "required_input_pattern",
    "skip_reason",
    "skipped_at",
    "when_exhausted",
    "when_unmet",
];

/// Rows by name, events in the order in which they were sent.
#[derive(Default, PartialEq)]
pub(super) struct State {
    pub(super) rows: BTreeMap<String, Value>,
    pub(super) events: Vec<Value>,
    /// Messages in the queue.
    pub(super) messages: BTreeSet<i64>,
    /// Those of them that a worker can read now.
    pub(super) visible: BTreeSet<i64>,
}

/// What moments mean in one database, during one play.
#[derive(Default)]
pub(super) struct Clock {
    /// Begin and end of the transaction of each call, in microseconds.
    calls: Vec<(i64, i64)>,
    /// When each message is visible again: as the database has it, and in words.
    visibility: HashMap<i64, (i64, String)>,
}

impl Clock {
    pub(super) fn call(&mut self, begin: &Value, end: &Value) {
        self.calls.push((moment(begin).unwrap(), moment(end).unwrap()));
    }

    /// Whether the last call took so long that a whole second can be missed.
    pub(super) fn is_blurred(&self) -> bool {
        self.calls.last().is_some_and(|(begin, end)| end - begin > 900_000)
    }

    /// Rewrites every moment and leaves out what 0.8.1 does not have.
    pub(super) fn put_in_words(&mut self, value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(|item| self.put_in_words(item)),
            Value::Object(row) => {
                // An output is in the tasks; 0.14 has it in the step's state too.
                if row.contains_key("initial_tasks") {
                    row.remove("output");
                }
                row.retain(|key, _| !NOT_IN_0_8_1.contains(&key.as_str()));
                let message = row.get("msg_id").and_then(Value::as_i64);
                for (key, value) in row.iter_mut() {
                    if let Some(moment) = is_moment(key).then(|| moment(value)).flatten() {
                        *value = match message {
                            Some(message) if key == "vt" => self.visibility(message, moment),
                            _ => self.name(moment),
                        };
                    } else {
                        self.put_in_words(value);
                    }
                }
            }
            _ => (),
        }
    }

    fn name(&self, moment: i64) -> Value {
        let call = self.calls.partition_point(|(begin, _)| *begin <= moment).checked_sub(1);
        match call.map(|call| (call, self.calls[call])) {
            Some((call, (_, end))) if moment <= end => json!(format!("#{call}")),
            _ => json!(format!("{moment} µs, during no call")),
        }
    }

    fn visibility(&mut self, message: i64, moment: i64) -> Value {
        let known = self.visibility.get(&message).filter(|(known, _)| *known == moment);
        let words = known.map(|(_, words)| words.clone()).unwrap_or_else(|| {
            let call = self.calls.len() - 1;
            let (begin, end) = self.calls[call];
            let (seconds, fraction) = ((moment - begin).div_euclid(1_000_000), (moment - begin).rem_euclid(1_000_000));
            if begin + fraction <= end {
                format!("#{call}+{seconds}")
            } else {
                format!("#{call}+{seconds}.{fraction:06}")
            }
        });
        self.visibility.insert(message, (moment, words.clone()));
        json!(words)
    }
}

fn is_moment(key: &str) -> bool {
    key == "vt" || key.ends_with("_at")
}

fn moment(value: &Value) -> Option<i64> {
    Some(DateTime::parse_from_rfc3339(value.as_str()?).ok()?.timestamp_micros())
}

impl State {
    /// From what `state.sql` finds.
    pub(super) fn new(mut found: Value, clock: &mut Clock) -> Self {
        let mut take = |key: &str| match found[key].take() {
            Value::Array(rows) => rows,
            Value::Null => Vec::new(),
            other => panic!("{key} is {other}"),
        };
        let mut state = Self::default();
        let named = [
            ("run", take("runs")),
            ("step", take("step_states")),
            ("task", take("step_tasks")),
            ("message", take("messages")),
            ("archived", take("archived")),
        ];
        state.events = take("events");
        for event in &mut state.events {
            for (_, rows) in &named[..2] {
                tell_time_of_row(&mut event["payload"], rows);
            }
            clock.put_in_words(event);
        }
        let now = moment(&found["end"]).unwrap();
        for (kind, rows) in named {
            for mut row in rows {
                if kind == "message" {
                    let message = row["msg_id"].as_i64().unwrap();
                    state.messages.insert(message);
                    if moment(&row["vt"]).unwrap() <= now {
                        state.visible.insert(message);
                    }
                }
                clock.put_in_words(&mut row);
                let name = name(kind, row.as_object().unwrap());
                assert!(state.rows.insert(name.clone(), row).is_none(), "{name} is there twice");
            }
        }
        state
    }

    /// The statuses of the runs.
    pub(super) fn runs(&self) -> impl Iterator<Item = (usize, &str)> {
        self.kind("run").map(|row| (run_number(text(row, "run_id")), text(row, "status")))
    }

    /// The row of a task.
    pub(super) fn task(&self, task: &Task) -> Option<&Value> {
        self.rows.get(&format!("task {} {} {}", task.run, task.step, task.index))
    }

    /// Tasks, their statuses and their messages.
    pub(super) fn tasks(&self) -> impl Iterator<Item = (Task, &str, i64)> {
        self.kind("task").map(|row| {
            let task = Task {
                run: run_number(text(row, "run_id")),
                step: text(row, "step_slug").to_owned(),
                index: row["task_index"].as_i64().unwrap(),
            };
            (task, text(row, "status"), row["message_id"].as_i64().unwrap())
        })
    }

    fn kind(&self, kind: &'static str) -> impl Iterator<Item = &Value> {
        self.rows.iter().filter(move |(name, _)| name.split(' ').next() == Some(kind)).map(|(_, row)| row)
    }

    /// Where two states differ, in lines; none where they are equal.
    pub(super) fn differences(&self, names: [&str; 2], other: &Self) -> String {
        let mut lines = String::new();
        let keys: BTreeSet<_> = self.rows.keys().chain(other.rows.keys()).collect();
        for key in keys {
            match (self.rows.get(key), other.rows.get(key)) {
                (Some(one), Some(two)) if one == two => (),
                (Some(Value::Object(one)), Some(Value::Object(two))) => {
                    let columns: BTreeSet<_> = one.keys().chain(two.keys()).collect();
                    for column in columns.into_iter().filter(|column| one.get(*column) != two.get(*column)) {
                        compare(&mut lines, &format!("{key}, {column}"), names, [one.get(column), two.get(column)]);
                    }
                }
                (one, two) => compare(&mut lines, key, names, [one, two]),
            }
        }
        for index in 0..self.events.len().max(other.events.len()) {
            let events = [self.events.get(index), other.events.get(index)];
            if events[0] != events[1] {
                compare(&mut lines, &format!("event {index} of this call"), names, events);
            }
        }
        if lines.is_empty() && self.visible != other.visible {
            write!(lines, "visible messages: {:?} and {:?}", self.visible, other.visible).unwrap();
        }
        lines
    }
}

/// A time in an event is that of the row that it is about. Where it is not, it says so.
fn tell_time_of_row(payload: &mut Value, rows: &[Value]) {
    let same = |row: &&Value| ["run_id", "step_slug"].iter().all(|key| row.get(key) == payload.get(key));
    let Some(row) = rows.iter().find(same) else { return };
    for (key, value) in payload.as_object_mut().unwrap().iter_mut().filter(|(key, _)| is_moment(key)) {
        if row[key] != *value {
            *value = json!(format!("{value}, but the row has {}", row[key]));
        }
    }
}

fn compare(lines: &mut String, what: &str, names: [&str; 2], values: [Option<&Value>; 2]) {
    writeln!(lines, "  {what}").unwrap();
    for (name, value) in names.iter().zip(values) {
        let value = value.map_or("nothing".to_owned(), Value::to_string);
        writeln!(lines, "    {name:>8}: {value}").unwrap();
    }
}

fn name(kind: &str, row: &Map<String, Value>) -> String {
    let text = |key: &str| row[key].as_str().unwrap();
    match kind {
        "run" => format!("run {}", run_number(text("run_id"))),
        "step" => format!("step {} {}", run_number(text("run_id")), text("step_slug")),
        "task" => format!("task {} {} {}", run_number(text("run_id")), text("step_slug"), row["task_index"]),
        _ => format!("{kind} {}", row["msg_id"]),
    }
}

fn text<'a>(row: &'a Value, column: &str) -> &'a str {
    row[column].as_str().unwrap()
}
