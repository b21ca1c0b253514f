//! Random choices that a seed repeats exactly, on every machine and whatever versions our dependencies have.

use serde_json::{Value, json};

/// SplitMix64.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of 0 to `end - 1`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// True in that many of a hundred cases.
    pub(super) fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    /// One of `items`, of which there must be one.
    pub(super) fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    /// One of `choices`, as often as its weight says; none has no chance at all.
    pub(super) fn weighted<T: Copy>(&mut self, choices: &[(usize, T)]) -> T {
        let mut left = self.below(choices.iter().map(|(weight, _)| weight).sum());
        for (weight, choice) in choices {
            if left < *weight {
                return *choice;
            }
            left -= weight;
        }
        unreachable!("the weights are summed up above")
    }

    /// Some of `items`, each with an even chance, in a random order.
    pub(super) fn some<T: Clone>(&mut self, items: &[T]) -> Vec<T> {
        let mut some = Vec::new();
        for item in items {
            if self.percent(50) {
                some.insert(self.below(some.len() + 1), item.clone());
            }
        }
        some
    }

    /// A value of any kind, arrays and objects with nothing but plain values in them.
    pub(super) fn json(&mut self) -> Value {
        match self.below(8) {
            0 => {
                let length = self.below(4);
                self.array(length)
            }
            1 => json!({}),
            2 => json!({"a": self.plain(), "ключ \"'": self.plain()}),
            _ => self.plain(),
        }
    }

    /// An array of plain values.
    pub(super) fn array(&mut self, length: usize) -> Value {
        (0..length).map(|_| self.plain()).collect()
    }

    fn plain(&mut self) -> Value {
        match self.below(6) {
            0 => Value::Null,
            1 => json!(self.percent(50)),
            2 => json!(self.below(1000)),
            3 => json!(-1.5),
            4 => json!([]),
            _ => json!(*self.pick(&["", "text", "it's \"quoted\" \\ 日本", "null"])),
        }
    }
}
