//! Where things go: a layered drawing, left to right, after Sugiyama, Tagawa and Toda.
//!
//! A step's column says when it can start at the earliest: one more than the last of those it waits for. An edge over
//! several columns goes through a waypoint in each between, so that it passes boxes instead of crossing them. Then each
//! column is put in the order with the fewest crossings that sweeps find, and boxes are moved within their columns to
//! stand beside their neighbours. Nothing is random, no map is iterated: the same input gives the same drawing.

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

/// A place in the drawing, in pixels from its upper left corner.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Point {
    /// To the right.
    pub x: f64,
    /// Down.
    pub y: f64,
}

/// A box.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Rect {
    /// Its upper left corner.
    pub at: Point,
    /// Its size.
    pub size: Size,
}

/// A curve between two columns, from its start to its end.
pub type Curve = (Point, Point);

/// The way of an edge: along the stem of its box as far as it goes, then a curve of its own. From one curve to the next
/// it goes straight through a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Route {
    /// The box whose stem it follows: where it starts, or, for an edge of a circle that leads back, where it ends.
    pub stem: usize,
    /// How many curves of that stem.
    pub shared: usize,
    /// The last curve, from left to right.
    pub own: Curve,
    /// Whether it leads from right to left.
    pub leads_back: bool,
}

/// A drawing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Layout {
    /// Of everything.
    pub size: Size,
    /// Boxes, in the order given. All of a column are as wide as the widest.
    pub boxes: Vec<Rect>,
    /// By box: what its edges over several columns have in common, without which they would be as long as there are
    /// columns, each.
    pub stems: Vec<Vec<Curve>>,
    /// Edges, in the order given.
    pub routes: Vec<Route>,
}

impl Layout {
    /// All curves of an edge, from its start to its end.
    pub fn way(&self, route: &Route) -> Vec<Curve> {
        let mut way = self.stems[route.stem][..route.shared].to_vec();
        way.push(route.own);
        if route.leads_back {
            way.reverse();
            way.iter_mut().for_each(|(start, end)| std::mem::swap(start, end));
        }
        way
    }
}

/// Lays boxes out by the edges between them, each from one place in `sizes` to another; edges may form circles.
///
/// # Panics
/// Where an edge names a place that `sizes` does not have.
pub fn layout(sizes: &[Size], edges: &[(usize, usize)]) -> Layout {
    let columns = columns::assign(sizes.len(), edges);
    let mesh = Mesh::new(&columns, edges);
    let parts = crossings::reduce(&mesh);
    places::place(&mesh, &parts, sizes, edges)
}
