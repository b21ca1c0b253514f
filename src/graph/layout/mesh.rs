//! Boxes and waypoints in columns, and the links between neighbouring columns.

/// How many waypoints there may be. Beyond it, the longest edges take the straight way, behind the boxes between: ten
/// thousand steps, each of which names the one before and the one at half its place, would have 25 million.
const MAX_WAYPOINTS: usize = 100_000;

/// Boxes come first, by their places; waypoints follow.
pub(super) struct Mesh {
    /// How many of the vertices are boxes.
    pub(super) boxes: usize,
    /// How many columns there are.
    pub(super) columns: usize,
    /// By vertex: its column.
    pub(super) column: Vec<usize>,
    /// By vertex: those it is linked to in the column to its left.
    pub(super) left: Vec<Vec<usize>>,
    /// By vertex: those it is linked to in the column to its right.
    pub(super) right: Vec<Vec<usize>>,
    /// By box: its waypoints, one a column from the next one on. Edges of one box share them, as a stem.
    stems: Vec<Vec<usize>>,
    /// By edge: whether it goes straight.
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
        // In the order of the boxes, whatever the order of the edges.
        mesh.left.iter_mut().chain(&mut mesh.right).for_each(|links| links.sort_unstable());
        mesh
    }

    /// Links a box to one further right, through its stem.
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

    /// The waypoints of a box, from its column on to the right.
    pub(super) fn stem(&self, place: usize) -> &[usize] {
        &self.stems[place]
    }

    /// How many waypoints of the box at its left an edge leads through.
    pub(super) fn waypoints(&self, edge: usize, ends: (usize, usize)) -> usize {
        let between = self.column[ends.0].abs_diff(self.column[ends.1]).saturating_sub(1);
        if self.is_direct[edge] { 0 } else { between }
    }

    /// Whether a vertex is a box.
    pub(super) fn is_box(&self, vertex: usize) -> bool {
        vertex < self.boxes
    }
}

/// What is connected: its columns, from the first that it has on, each with its vertices from top to bottom.
pub(super) struct Part {
    pub(super) first: usize,
    pub(super) columns: Vec<Vec<usize>>,
}

/// An edge from left to right; one of a circle may lead back.
pub(super) fn forward(column: &[usize], (from, to): (usize, usize)) -> (usize, usize) {
    if column[from] <= column[to] { (from, to) } else { (to, from) }
}

/// Edges that stay in their column, and the longest beyond the limit.
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
