//! What can be seen of a flow after a call, in words that are the same in both databases.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use serde_json::{Map, Value, json};

use super::call::{Task, run_number};
use super::clock::{Clock, is_moment, moment};

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

    /// The status of a task's step.
    pub(super) fn step(&self, task: &Task) -> Option<&str> {
        self.rows.get(&format!("step {} {}", task.run, task.step)).map(|row| text(row, "status"))
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
