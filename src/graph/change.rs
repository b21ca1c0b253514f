//! Graphs of changes, which show the steps of both sides.

use std::collections::{BTreeMap, HashMap};

use super::flow::{node, places};
use super::{Edge, Graph, Icon, Mark, Row};
use flowsmith_core::catalog::Step;
use flowsmith_core::diff::{Alteration, Change, FlowDelta};

impl Graph {
    /// A change of a flow. Removed steps are drawn together with the remaining ones.
    pub fn of_change(change: &Change) -> Self {
        match change {
            Change::Create(flow) => Self::of_flow(flow).marked(Mark::Added),
            Change::Drop(flow) => Self::of_flow(flow).marked(Mark::Removed),
            Change::Alter(alteration) => altered(alteration),
        }
    }

    fn marked(mut self, mark: Mark) -> Self {
        self.nodes.iter_mut().for_each(|node| node.mark = mark);
        self.edges.iter_mut().for_each(|edge| edge.mark = mark);
        self
    }
}

fn altered(alteration: &Alteration) -> Graph {
    let (from, to) = (&alteration.from, &alteration.to);
    let mut graph = Graph::of_flow(to);
    let old = places(&from.steps);
    let new = places(&to.steps);
    let differences = differences(alteration);
    for node in &mut graph.nodes {
        if !old.contains_key(node.slug.as_str()) {
            node.mark = Mark::Added;
            node.rows.insert(0, Row::new(Icon::Mark(Mark::Added), "new step"));
        } else if let Some(rows) = differences.get(node.slug.as_str()) {
            node.mark = Mark::Changed;
            node.rows.splice(0..0, rows.iter().cloned());
        }
    }
    let removed = from.steps.iter().filter(|step| !new.contains_key(step.slug.as_str()));
    graph.nodes.extend(removed.map(|step| {
        let mut node = node(from, step);
        node.mark = Mark::Removed;
        node.rows.insert(0, Row::new(Icon::Mark(Mark::Removed), "removed"));
        node
    }));
    graph.edges = edges(&graph, &from.steps, &to.steps);
    graph
}

/// The differences of each step, with their classes.
fn differences(alteration: &Alteration) -> HashMap<&str, Vec<Row>> {
    let mut rows: HashMap<&str, Vec<Row>> = HashMap::new();
    for delta in &alteration.deltas {
        if let FlowDelta::Step(slug, difference) = delta {
            let text = format!("{difference} [{}]", difference.class().as_str());
            rows.entry(slug).or_default().push(Row::new(Icon::Mark(Mark::Changed), text));
        }
    }
    rows
}

/// The dependencies of both sides; `from` and `to` are the steps before and after the change.
fn edges(graph: &Graph, from: &[Step], to: &[Step]) -> Vec<Edge> {
    let places: HashMap<&str, usize> =
        graph.nodes.iter().enumerate().map(|(place, node)| (node.slug.as_str(), place)).collect();
    let mut marks: BTreeMap<(usize, usize), Mark> = BTreeMap::new();
    for (steps, only_here, in_both) in [(from, Mark::Removed, Mark::Removed), (to, Mark::Added, Mark::Same)] {
        for step in steps {
            let Some(end) = places.get(step.slug.as_str()) else { continue };
            for start in step.depends_on.iter().filter_map(|slug| places.get(slug.as_str())) {
                marks.entry((*end, *start)).and_modify(|mark| *mark = in_both).or_insert(only_here);
            }
        }
    }
    marks.into_iter().map(|((to, from), mark)| Edge { from, to, mark }).collect()
}
