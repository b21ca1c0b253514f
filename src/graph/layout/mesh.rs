//! Boxes and waypoints in columns, and the links between neighbouring columns.

/// The most waypoints. Beyond that, the longest edges are straight lines behind the boxes: ten thousand steps, each of which depends
/// on the previous one and on the one at half its position, would have 25 million waypoints.
const MAX_WAYPOINTS: usize = 100_000;

/// The vertices: first the boxes, then the waypoints.
pub(super) struct Mesh {
    /// The number of boxes.
    pub(super) boxes: usize,
    /// The number of columns.
    pub(super) columns: usize,
    /// The column of each vertex.
    pub(super) column: Vec<usize>,
    /// The vertices in the column to the left that each vertex is linked to.
    pub(super) left: Vec<Vec<usize>>,
    /// The vertices in the column to the right that each vertex is linked to.
    pub(super) right: Vec<Vec<usize>>,
    /// The waypoints of each box, one per column, starting in the next column. All edges of a box share them.
    stems: Vec<Vec<usize>>,
    /// Whether each edge is a straight line without waypoints.
    is_direct: Vec<bool>,
}

impl Mesh {
    pub(super) fn new(column: &[usize], edges: &[(usize, usize)]) -> Self {
        let boxes = column.len();
        let mut mesh = Self {
            boxes,
            columns: column.iter().max().map_or(0, |last| last + 1),
            column: column.to_vec(),
            left: vec![Vec::new(); boxes],
            right: vec![Vec::new(); boxes],
            stems: vec![Vec::new(); boxes],
            is_direct: direct_edges(column, edges),
        };
        for (edge, ends) in edges.iter().enumerate() {
            if !mesh.is_direct[edge] {
                let (from, to) = forward(column, *ends);
                mesh.link(from, to);
            }
        }
        // The result does not depend on the order of the edges.
        mesh.left.iter_mut().chain(&mut mesh.right).for_each(|links| links.sort_unstable());
        mesh
    }

    /// Links a box to one further right through the waypoints of its stem.
    fn link(&mut self, from: usize, to: usize) {
        let between = self.column[to] - self.column[from] - 1;
        while self.stems[from].len() < between {
            let last = self.stems[from].last().copied().unwrap_or(from);
            let waypoint = self.column.len();
            self.column.push(self.column[last] + 1);
            self.left.push(vec![last]);
            self.right.push(Vec::new());
            self.right[last].push(waypoint);
            self.stems[from].push(waypoint);
        }
        let last = between.checked_sub(1).map_or(from, |index| self.stems[from][index]);
        self.right[last].push(to);
        self.left[to].push(last);
    }

    /// The waypoints of a box from left to right.
    pub(super) fn stem(&self, place: usize) -> &[usize] {
        &self.stems[place]
    }

    /// The number of waypoints of an edge.
    pub(super) fn waypoints(&self, edge: usize, ends: (usize, usize)) -> usize {
        let between = self.column[ends.0].abs_diff(self.column[ends.1]).saturating_sub(1);
        if self.is_direct[edge] { 0 } else { between }
    }

    pub(super) fn is_box(&self, vertex: usize) -> bool {
        vertex < self.boxes
    }
}

/// A connected part: its columns, starting with the column `first`, each with its vertices from top to bottom.
pub(super) struct Part {
    pub(super) first: usize,
    pub(super) columns: Vec<Vec<usize>>,
}

/// The ends of an edge from left to right. The edge itself can lead from right to left if it is part of a cycle.
pub(super) fn forward(column: &[usize], (from, to): (usize, usize)) -> (usize, usize) {
    if column[from] <= column[to] { (from, to) } else { (to, from) }
}

/// The edges within one column, and the longest edges beyond the limit of waypoints.
fn direct_edges(column: &[usize], edges: &[(usize, usize)]) -> Vec<bool> {
    let span = |edge: usize| column[edges[edge].0].abs_diff(column[edges[edge].1]);
    let mut by_span: Vec<usize> = (0..edges.len()).collect();
    by_span.sort_by_key(|edge| span(*edge));
    let mut waypoints = 0;
    let mut stems = vec![0; column.len()];
    let mut is_direct = vec![false; edges.len()];
    for edge in by_span {
        let between = span(edge).saturating_sub(1);
        let stem: &mut usize = &mut stems[forward(column, edges[edge]).0];
        let added = between.saturating_sub(*stem);
        is_direct[edge] = span(edge) == 0 || waypoints + added > MAX_WAYPOINTS;
        if !is_direct[edge] {
            waypoints += added;
            *stem = between.max(*stem);
        }
    }
    is_direct
}
