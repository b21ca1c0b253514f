//! The dependency graph of a flow: the database order of its steps, and its cycles.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet, VecDeque};

use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef as _;

use crate::definition::FlowFile;

/// The maximum number of cycles reported for a flow.
pub const MAX_CYCLES: usize = 20;

/// The graph of a flow's steps, by their index in the file, with an edge from each dependency to the step that waits for it.
/// Unknown dependencies and steps that depend on themselves are left out; other rules report them.
pub struct StepGraph<'f> {
    graph: DiGraph<(), ()>,
    by_slug: HashMap<&'f str, NodeIndex>,
}

impl<'f> StepGraph<'f> {
    /// Builds the graph of a flow.
    pub fn of(flow: &'f FlowFile) -> Self {
        let mut graph = DiGraph::with_capacity(flow.steps.len(), flow.steps.len() * 2);
        let mut by_slug = HashMap::with_capacity(flow.steps.len());
        for step in &flow.steps {
            by_slug.insert(step.slug.as_str(), graph.add_node(()));
        }
        for (to, step) in flow.steps.iter().enumerate() {
            let to = NodeIndex::new(to);
            for dependency in step.dependencies() {
                if let Some(from) = by_slug.get(dependency)
                    && *from != to
                {
                    graph.add_edge(*from, to, ());
                }
            }
        }
        Self { graph, by_slug }
    }

    /// The nodes by step name.
    pub(super) fn steps(&self) -> &HashMap<&'f str, NodeIndex> {
        &self.by_slug
    }

    /// Builds a graph from edges between indexes; edges out of range are left out.
    pub fn from_edges(nodes: usize, edges: &[(usize, usize)]) -> Self {
        let mut graph = DiGraph::new();
        for _ in 0..nodes {
            graph.add_node(());
        }
        for (from, to) in edges.iter().filter(|(from, to)| *from < nodes && *to < nodes && from != to) {
            graph.add_edge(NodeIndex::new(*from), NodeIndex::new(*to), ());
        }
        Self { graph, by_slug: HashMap::new() }
    }

    /// The indexes of the steps in topological order, and in the order of the file where dependencies allow it. `None` if there
    /// is a cycle.
    pub fn order(&self) -> Option<Vec<usize>> {
        let mut waits: Vec<_> =
            self.graph.node_indices().map(|node| self.graph.edges_directed(node, petgraph::Incoming).count()).collect();
        let mut ready: BinaryHeap<_> = (0..waits.len()).filter(|node| waits[*node] == 0).map(Reverse).collect();
        let mut order = Vec::with_capacity(waits.len());
        while let Some(Reverse(node)) = ready.pop() {
            order.push(node);
            for next in self.graph.neighbors(NodeIndex::new(node)) {
                waits[next.index()] -= 1;
                if waits[next.index()] == 0 {
                    ready.push(Reverse(next.index()));
                }
            }
        }
        (order.len() == waits.len()).then_some(order)
    }

    /// At most [`MAX_CYCLES`] cycles, and whether there are more. In a cycle, each step waits for the next and the last for the
    /// first. Every dependency on a cycle is covered by the shortest cycle through it.
    pub fn cycles(&self) -> (Vec<Vec<usize>>, bool) {
        let mut cycles = Vec::new();
        let mut covered = HashSet::new();
        let mut components: Vec<Vec<NodeIndex>> =
            tarjan_scc(&self.graph).into_iter().filter(|scc| scc.len() > 1).collect();
        for component in &mut components {
            component.sort();
        }
        components.sort();
        for component in &components {
            let inside: HashSet<_> = component.iter().copied().collect();
            for &step in component {
                let mut dependencies: Vec<_> =
                    self.graph.edges_directed(step, petgraph::Incoming).map(|edge| edge.source()).collect();
                dependencies.sort();
                for dependency in dependencies {
                    if !inside.contains(&dependency) || covered.contains(&(step, dependency)) {
                        continue;
                    }
                    if cycles.len() == MAX_CYCLES {
                        return (cycles, true);
                    }
                    let cycle = self.shortest(dependency, step, &inside);
                    let next = cycle.iter().skip(1).chain(cycle.first());
                    covered.extend(cycle.iter().copied().zip(next.copied()));
                    cycles.push(from_the_first(&cycle));
                }
            }
        }
        (cycles, false)
    }

    /// The shortest cycle through `step` and its dependency, beginning with `step`; each step waits for the next.
    fn shortest(&self, dependency: NodeIndex, step: NodeIndex, inside: &HashSet<NodeIndex>) -> Vec<NodeIndex> {
        let mut came_from = HashMap::from([(dependency, step)]);
        let mut queue = VecDeque::from([dependency]);
        while let Some(node) = queue.pop_front() {
            if node == step {
                break;
            }
            for next in self.graph.neighbors_directed(node, petgraph::Incoming).filter(|next| inside.contains(next)) {
                came_from.entry(next).or_insert_with(|| {
                    queue.push_back(next);
                    node
                });
            }
        }
        let mut cycle = vec![step];
        let mut node = came_from.get(&step).copied().unwrap_or(dependency);
        while node != step {
            cycle.push(node);
            node = came_from.get(&node).copied().unwrap_or(step);
        }
        cycle[1..].reverse();
        cycle
    }
}

/// Rotates a cycle so that it begins with its first step in the file.
fn from_the_first(cycle: &[NodeIndex]) -> Vec<usize> {
    let mut cycle: Vec<_> = cycle.iter().map(|node| node.index()).collect();
    let first = cycle.iter().enumerate().min_by_key(|(_, node)| **node).map_or(0, |(position, _)| position);
    cycle.rotate_left(first);
    cycle
}
