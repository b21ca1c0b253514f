//! What moments mean, in words that are the same in both databases.
//!
//! A moment becomes the call that it comes from: `#3` is any moment of call 3, since the official engine takes the time at
//! the transaction's begin and ours from the clock. When a message is visible again becomes `#3+60`: 60 seconds after call 3.

use std::collections::HashMap;

use chrono::DateTime;
use serde_json::{Value, json};

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

/// The calls of one play in one database.
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

/// Whether a key has moments.
pub(super) fn is_moment(key: &str) -> bool {
    key == "vt" || key.ends_with("_at")
}

/// Microseconds.
pub(super) fn moment(value: &Value) -> Option<i64> {
    Some(DateTime::parse_from_rfc3339(value.as_str()?).ok()?.timestamp_micros())
}
