//! Inputs and outputs, which can be long.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON value, or the beginning of one that is too long to be fetched for a look.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Payload {
    /// Its text, as PostgreSQL writes it.
    pub text: String,
    /// How long the whole text is, in bytes.
    pub bytes: usize,
}

impl Payload {
    /// Whether the text is all of it.
    pub fn is_whole(&self) -> bool {
        self.text.len() == self.bytes
    }
}

/// The value itself; the beginning of a longer one as a text.
impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_str::<&RawValue>(&self.text) {
            Ok(value) if self.is_whole() => value.serialize(serializer),
            _ => self.text.serialize(serializer),
        }
    }
}
