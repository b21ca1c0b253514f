//! Pictures of flows: a [`Graph`] is what a picture shows, made of a flow, of a change or of a run, and drawn as SVG,
//! Mermaid or DOT. Pure: the same graph gives the same bytes.
//!
//! ```text
//! Flow ─ of_flow ──────────┐          ┌─ svg: layout (columns, order, places) → boxes and curves
//! Change ─ of_change ──────┼→ Graph ──┼─ mermaid
//! Flow + RunDetail ─ of_run┘          └─ dot
//! ```

mod change;
mod choose;
mod described;
mod dot;
mod flow;
pub mod layout;
mod mermaid;
mod model;
mod run;
mod svg;
mod words;

pub use choose::{GraphError, choose, choose_of_run};
pub use described::step_descriptions;
pub use dot::dot;
pub use mermaid::mermaid;
pub use model::{Edge, Graph, Icon, Mark, Node, Row, Start};
pub(crate) use svg::escaped;
pub use svg::{STYLE, Style, svg};
