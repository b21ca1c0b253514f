//! The API levels of the engine, named after releases of pgflow.

use std::fmt;
use std::str::FromStr;

/// An API level. Levels are ordered: a higher level includes every lower one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Flows, single and map steps, start delays.
    V0_7_2,
    /// The same API, on pgmq 1.5 or later.
    V0_8_1,
    /// Conditions, skip modes, stored step outputs, stalled-task recovery, shape functions. flowsmith's engine is a superset.
    V0_14,
}

impl Level {
    /// All levels, lowest first.
    pub const ALL: [Self; 3] = [Self::V0_7_2, Self::V0_8_1, Self::V0_14];

    /// The name that `--engine` takes.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V0_7_2 => "0.7.2",
            Self::V0_8_1 => "0.8.1",
            Self::V0_14 => "0.14",
        }
    }

    /// Whether the level supports `if`, `if_not`, `when_unmet` and `when_exhausted`.
    pub fn has_conditions(self) -> bool {
        self >= Self::V0_14
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Level {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| format!("unknown engine level `{text}`: use 0.7.2, 0.8.1 or 0.14"))
    }
}
