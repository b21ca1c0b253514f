//! Pictures of flows: what is in them, that they are drawn well, and that what reads them can.

mod cases;
mod drawing;
mod plans;
mod readers;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flowsmith::graph::{Graph, Style, step_descriptions, svg};
use flowsmith_core::catalog::{Catalog, Flow};
use flowsmith_core::check::{CheckSettings, Origin, check};
use flowsmith_core::source::Sources;

/// Where the cases are.
fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/graph")
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

/// Compares with a committed file; UPDATE=1 writes it.
fn assert_golden(case: &str, file: &str, written: &str) {
    let path = cases().join(case).join(file);
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, written).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let differs = committed.lines().zip(written.lines()).find(|(committed, written)| committed != written);
    assert!(committed == written, "{case}/{file} differs, UPDATE=1 writes it: {differs:#?}");
}
