//! Inputs and outputs, which can be long.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

/// A JSON value, or the beginning of one that is too long to be fetched for a look.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "Fetched")]
pub struct Payload {
    /// Its text, as PostgreSQL writes it.
    pub text: String,
    /// How long the whole text is, in bytes.
    pub bytes: usize,
}

/// What queries give.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Fetched {
    /// The value itself: a long one is not written as a text and read again.
    Whole(Box<RawValue>),
    /// The beginning of its text.
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
