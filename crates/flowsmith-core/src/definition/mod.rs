//! The format of flow files: its table of keys, and the decoding of documents.

mod decode;
pub mod duration;
pub mod environment;
mod model;
pub mod reference;
mod schema;
pub mod shape;
mod verify;
mod wording;

pub use decode::decode;
pub use model::{FlowFile, Handler, Item, Options, RUN, Request, StepDefinition, Trigger, TriggerSource, queue};
pub use schema::json_schema;
