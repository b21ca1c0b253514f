//! Inputs and outputs of runs, which can be long.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON value, or the beginning of a long one.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Fetched")]
pub struct Payload {
    /// The JSON text, in the format of PostgreSQL; possibly truncated.
    pub text: String,
    /// The length of the whole text, in bytes.
    pub bytes: usize,
}

/// The result of `payload.sql`.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Fetched {
    /// The value itself, which saves escaping and unescaping a long text.
    Whole(Box<RawValue>),
    /// The beginning of the text.
    Part { text: String, bytes: usize },
}

impl From<Fetched> for Payload {
    fn from(fetched: Fetched) -> Self {
        let (text, bytes) = match fetched {
            Fetched::Whole(value) => {
                let text: String = Box::<str>::from(value).into();
                let bytes = text.len();
                (text, bytes)
            }
            Fetched::Part { text, bytes } => (text, bytes),
        };
        Self { text, bytes }
    }
}

impl Payload {
    /// Whether the text is complete.
    pub fn is_whole(&self) -> bool {
        self.text.len() == self.bytes
    }
}

/// Serializes the value itself if it is complete, otherwise its beginning as a string.
impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match serde_json::from_str::<&RawValue>(&self.text) {
            Ok(value) if self.is_whole() => value.serialize(serializer),
            _ => self.text.serialize(serializer),
        }
    }
}
