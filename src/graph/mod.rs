//! Diagrams of flows. A [`Graph`] is the content of a diagram; it is built from a flow, a change or a run, and drawn as SVG,
//! Mermaid or DOT. The functions are pure: the same graph results in the same bytes.
//!
//! ```text
//! Flow ─ of_flow ──────────┐          ┌─ svg: layout (columns, order, positions) → boxes and curves
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
pub use model::{Edge, Graph, Icon, Mark, Node, Row, TriggerLabel};
pub(crate) use svg::escaped;
pub use svg::{STYLE, Style, svg};
