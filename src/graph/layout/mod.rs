//! A layered layout from left to right, after Sugiyama, Tagawa and Toda.
//!
//! The column of a step is one more than the greatest column of its dependencies. An edge across several columns has a waypoint in
//! each column between its ends, so that it passes boxes instead of crossing them. Sweeps then find an order of each column with few
//! crossings, and boxes are moved within their columns towards their neighbours. The layout uses no random numbers and iterates
//! over no hash map, so the same input results in the same layout.

mod columns;
mod crossings;
mod mesh;
mod places;

use self::mesh::Mesh;

/// Width and height, in pixels.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Size {
    /// From left to right.
    pub width: f64,
    /// From top to bottom.
    pub height: f64,
}

/// A position in pixels from the upper left corner.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Point {
    /// The distance to the right.
    pub x: f64,
    /// The distance downwards.
    pub y: f64,
}

/// A box.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rect {
    /// The upper left corner.
    pub at: Point,
    /// The width and height.
    pub size: Size,
}

/// A curve between two columns, from its start to its end.
pub type Curve = (Point, Point);

/// The route of an edge: curves of the stem that the edges of a box share, then one curve of its own. Between two curves, the route
/// crosses a column in a straight line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Route {
    /// The box that owns the stem: the left end of the edge.
    pub stem: usize,
    /// The number of curves of the stem.
    pub shared: usize,
    /// The last curve, from left to right.
    pub own: Curve,
    /// Whether the edge leads from right to left, as part of a cycle.
    pub leads_back: bool,
}

/// The positions of all boxes and edges.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layout {
    /// The size of the whole diagram.
    pub size: Size,
    /// The boxes in the order of the input. All boxes of a column have the width of the widest one.
    pub boxes: Vec<Rect>,
    /// The curves that the edges of each box share; without them, the length of the output would be the number of edges times the
    /// number of columns.
    pub stems: Vec<Vec<Curve>>,
    /// The edges in the order of the input.
    pub routes: Vec<Route>,
}

impl Layout {
    /// All curves of an edge, from its start to its end.
    pub fn curves(&self, route: &Route) -> Vec<Curve> {
        let mut curves = self.stems[route.stem][..route.shared].to_vec();
        curves.push(route.own);
        if route.leads_back {
            curves.reverse();
            curves.iter_mut().for_each(|(start, end)| std::mem::swap(start, end));
        }
        curves
    }
}

/// Lays out boxes. An edge is a pair of indexes of `sizes`; edges can form cycles.
///
/// # Panics
/// If an index is out of range.
pub fn layout(sizes: &[Size], edges: &[(usize, usize)]) -> Layout {
    let columns = columns::assign(sizes.len(), edges);
    let mesh = Mesh::new(&columns, edges);
    let parts = crossings::reduce(&mesh);
    places::place(&mesh, &parts, sizes, edges)
}
