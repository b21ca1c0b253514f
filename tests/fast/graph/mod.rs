//! Pictures of flows: what is in them, that they are drawn well, and that what reads them can.

mod cases;
mod drawing;
mod plans;
mod readers;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use flowsmith::graph::{Graph, Style, dot, mermaid, step_descriptions, svg};
use flowsmith_core::catalog::{Catalog, Flow};
use flowsmith_core::check::{CheckSettings, Origin, check};
use flowsmith_core::source::Sources;

use crate::snapshots;

/// The folder of the cases.
fn cases() -> PathBuf {
    snapshots::cases("graph")
}

/// The flows of a file, which must be right.
fn catalog(yaml: &str) -> Catalog {
    let checked = check(&Sources::one("flows/flow.yaml", yaml), &CheckSettings::default());
    assert!(!checked.has_errors(), "{:?}", checked.findings);
    checked.catalog
}

/// The one flow of a file.
fn flow(yaml: &str) -> Arc<Flow> {
    catalog(yaml).iter().next().unwrap().1.clone()
}

/// The flow of a case.
fn flow_of(case: &str) -> Arc<Flow> {
    flow(&fs::read_to_string(cases().join(case).join("flow.yaml")).unwrap())
}

/// The graph of a case, as `flowsmith graph` makes it of a file.
fn graph_of(case: &str) -> Graph {
    let name = "flows/flow.yaml";
    let sources = Sources::one(name, fs::read_to_string(cases().join(case).join("flow.yaml")).unwrap());
    let origin = Origin { file: name.into(), document: 0 };
    let mut graph = Graph::of_flow(&flow_of(case));
    graph.describe(&step_descriptions(&sources, &origin, None));
    graph
}

/// A picture as `flowsmith graph` writes it.
fn picture(graph: &Graph) -> String {
    svg(graph, Style { id: "flow", alone: true })
}

/// Compares the drawings of a graph with the snapshots of a case.
fn assert_drawings(case: &str, graph: &Graph) {
    snapshots::settings(&cases().join(case)).bind(|| {
        insta::assert_binary_snapshot!("picture.svg", picture(graph).into_bytes());
        insta::assert_snapshot!("mermaid", snapshots::text(&mermaid(graph)));
        insta::assert_snapshot!("dot", snapshots::text(&dot(graph)));
    });
}

/// Compares a page with the snapshot of a case.
fn assert_page(case: &str, page: &str) {
    snapshots::settings(&cases().join(case)).bind(|| {
        insta::assert_binary_snapshot!("page.html", page.as_bytes().to_vec());
    });
}
