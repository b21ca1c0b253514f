//! Computes the vertical positions within columns and the horizontal positions of columns.

use super::mesh::{Mesh, Part, forward};
use super::{Layout, Point, Rect, Route, Size};

/// The space between two boxes of a column, in pixels like all gaps.
const BOX_GAP: f64 = 22.0;
/// The space between a box and an edge that passes it, and between two such edges.
const EDGE_GAP: f64 = 14.0;
/// The space between two parts that are not connected.
const PART_GAP: f64 = 34.0;
/// The least space between two columns.
const COLUMN_GAP: f64 = 52.0;
/// The greatest space between two columns, for steep curves.
const MAX_COLUMN_GAP: f64 = 170.0;

/// The weight of a desired position: the longer an edge, the more important it is that the edge is straight.
const BETWEEN_WAYPOINTS: f64 = 100.0;
const BESIDE_A_WAYPOINT: f64 = 10.0;
const BETWEEN_BOXES: f64 = 1.0;
const ALONE: f64 = 0.05;
/// The factor of the weight of an edge that is straightened in the last pass.
const STRAIGHT: f64 = 50.0;
/// The greatest deviation of an edge that counts as nearly straight, in pixels.
const NEARLY: f64 = 14.0;

pub(super) fn place(mesh: &Mesh, parts: &[Part], sizes: &[Size], edges: &[(usize, usize)]) -> Layout {
    let size = |vertex: usize| sizes.get(vertex).copied().unwrap_or_default();
    let heights = heights(mesh, parts, sizes);
    let spans = column_spans(mesh, sizes, &heights);
    let start = |vertex: usize| {
        let (x, width) = spans[mesh.column[vertex]];
        Point { x: rounded(x + width), y: heights[vertex] }
    };
    let end = |vertex: usize| Point { x: rounded(spans[mesh.column[vertex]].0), y: heights[vertex] };
    let in_a_box = |(place, size): (usize, &Size)| {
        let (x, width) = spans[mesh.column[place]];
        let at = Point { x: rounded(x), y: rounded(heights[place] - size.height / 2.0) };
        Rect { at, size: Size { width, height: size.height } }
    };
    let stem = |place: usize| {
        let mut from = place;
        let curve = |to: &usize| (start(std::mem::replace(&mut from, *to)), end(*to));
        mesh.stem(place).iter().map(curve).collect()
    };
    let route = |(edge, ends): (usize, &(usize, usize))| {
        let (left, right) = forward(&mesh.column, *ends);
        let shared = mesh.waypoints(edge, *ends);
        let last = shared.checked_sub(1).map_or(left, |index| mesh.stem(left)[index]);
        Route { stem: left, shared, own: (start(last), end(right)), leads_back: left != ends.0 }
    };
    Layout {
        size: Size {
            width: spans.last().map_or(0.0, |(x, width)| rounded(x + width)),
            height: (0..heights.len()).map(|v| rounded(heights[v] + size(v).height / 2.0)).fold(0.0, f64::max),
        },
        boxes: sizes.iter().enumerate().map(in_a_box).collect(),
        stems: (0..mesh.boxes).map(stem).collect(),
        routes: edges.iter().enumerate().map(route).collect(),
    }
}

/// Rounds to a tenth of a pixel, which keeps the output short.
fn rounded(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// The horizontal position and the width of each column.
fn column_spans(mesh: &Mesh, sizes: &[Size], heights: &[f64]) -> Vec<(f64, f64)> {
    let mut widths = vec![0.0_f64; mesh.columns];
    let mut steepest = vec![0.0_f64; mesh.columns];
    for (vertex, column) in mesh.column.iter().enumerate() {
        widths[*column] = widths[*column].max(sizes.get(vertex).map_or(0.0, |size| size.width.ceil()));
        let climbs = mesh.right[vertex].iter().map(|end| (heights[vertex] - heights[*end]).abs());
        steepest[*column] = climbs.fold(steepest[*column], f64::max);
    }
    let mut x = 0.0;
    let mut spans = Vec::with_capacity(mesh.columns);
    for (width, steepest) in widths.into_iter().zip(steepest) {
        spans.push((x, width));
        x += width + (COLUMN_GAP + 0.14 * steepest).min(MAX_COLUMN_GAP).round();
    }
    spans
}

/// The vertical middle of each vertex. The top of the diagram is 0.
fn heights(mesh: &Mesh, parts: &[Part], sizes: &[Size]) -> Vec<f64> {
    let half = |vertex: usize| sizes.get(vertex).map_or(0.0, |size| size.height / 2.0);
    let mut heights = vec![0.0; mesh.column.len()];
    // Each part is moved up until one of its columns touches a part above it.
    let mut floor = vec![f64::NEG_INFINITY; mesh.columns];
    for part in parts {
        heights_of_part(mesh, part, sizes, &mut heights);
        let columns = || part.columns.iter().zip(part.first..);
        let top = |column: &[usize]| column.first().map_or(f64::INFINITY, |v| heights[*v] - half(*v));
        let highest = part.columns.iter().map(|column| top(column)).fold(f64::INFINITY, f64::min);
        let down = columns().map(|(column, index)| floor[index] + PART_GAP - top(column)).fold(-highest, f64::max);
        for (column, index) in columns() {
            for vertex in column {
                heights[*vertex] = rounded(heights[*vertex] + down);
            }
            floor[index] = column.last().map_or(floor[index], |v| heights[*v] + half(*v));
        }
    }
    heights
}

/// Moves the vertices of each column towards the median of their neighbours, for several rounds in both directions.
fn heights_of_part(mesh: &Mesh, part: &Part, sizes: &[Size], heights: &mut [f64]) {
    let height = |vertex: usize| sizes.get(vertex).map_or(0.0, |size| size.height);
    let gap = |pair: &[usize]| {
        let are_boxes = pair.iter().all(|vertex| mesh.is_box(*vertex));
        (height(pair[0]) + height(pair[1])) / 2.0 + if are_boxes { BOX_GAP } else { EDGE_GAP }
    };
    let gaps: Vec<Vec<f64>> = part.columns.iter().map(|column| column.windows(2).map(gap).collect()).collect();
    for (column, gaps) in part.columns.iter().zip(&gaps) {
        let mut y = -gaps.iter().sum::<f64>() / 2.0;
        for (vertex, gap) in column.iter().zip(gaps.iter().chain(&[0.0])) {
            heights[*vertex] = y;
            y += gap;
        }
    }
    let columns = || part.columns.iter().zip(&gaps);
    let rounds = if mesh.column.len() < 30_000 { 10 } else { 3 };
    for _ in 0..rounds {
        for (column, gaps) in columns().rev() {
            let desired = |vertex: usize, heights: &[f64]| desired(mesh, vertex, &mesh.right[vertex], heights);
            settle(column, gaps, heights, desired);
        }
        for (column, gaps) in columns() {
            let desired = |vertex: usize, heights: &[f64]| desired(mesh, vertex, &mesh.left[vertex], heights);
            settle(column, gaps, heights, desired);
        }
    }
    for (column, gaps) in columns().rev() {
        let desired = |vertex: usize, heights: &[f64]| straightened(mesh, vertex, [&mesh.right, &mesh.left], heights);
        settle(column, gaps, heights, desired);
    }
    for (column, gaps) in columns() {
        let desired = |vertex: usize, heights: &[f64]| straightened(mesh, vertex, [&mesh.left, &mesh.right], heights);
        settle(column, gaps, heights, desired);
    }
}

/// Moves the vertices of a column as close to their desired positions as the gaps allow. This is a least squares problem with a fixed
/// order; merging adjacent vertices that overlap into blocks solves it exactly.
fn settle(vertices: &[usize], gaps: &[f64], heights: &mut [f64], desired: impl Fn(usize, &[f64]) -> (f64, f64)) {
    struct Block {
        desired: f64,
        weight: f64,
        count: usize,
    }
    let mut blocks: Vec<Block> = Vec::with_capacity(vertices.len());
    let mut offset = 0.0;
    for (index, vertex) in vertices.iter().enumerate() {
        let (desired, weight) = desired(*vertex, heights);
        let mut block = Block { desired: desired - offset, weight, count: 1 };
        while let Some(above) = blocks.pop_if(|above| above.desired > block.desired) {
            let weight = above.weight + block.weight;
            block.desired = (above.desired * above.weight + block.desired * block.weight) / weight;
            block.weight = weight;
            block.count += above.count;
        }
        blocks.push(block);
        offset += gaps.get(index).copied().unwrap_or(0.0);
    }
    let mut offset = 0.0;
    let mut index = 0;
    for block in blocks {
        for _ in 0..block.count {
            heights[vertices[index]] = block.desired + offset;
            offset += gaps.get(index).copied().unwrap_or(0.0);
            index += 1;
        }
    }
}

/// The desired position of a vertex, the median of its neighbours on one side, and its weight. A vertex without neighbours has a
/// low weight.
fn desired(mesh: &Mesh, vertex: usize, links: &[usize], heights: &[f64]) -> (f64, f64) {
    if links.is_empty() {
        return (heights[vertex], ALONE);
    }
    let mut places: Vec<f64> = links.iter().map(|link| heights[*link]).collect();
    places.sort_by(f64::total_cmp);
    let last = places.len() - 1;
    let median = f64::midpoint(places[last / 2], places[last.div_ceil(2)]);
    let are_boxes = links.iter().all(|link| mesh.is_box(*link));
    (median, weight(mesh.is_box(vertex), are_boxes))
}

fn weight(is_box: bool, are_boxes: bool) -> f64 {
    match (is_box, are_boxes) {
        (true, true) => BETWEEN_BOXES,
        (false, false) => BETWEEN_WAYPOINTS,
        _ => BESIDE_A_WAYPOINT,
    }
}

/// The position of the nearest neighbour on one side, if the edge is nearly straight or is the only one on that side of both
/// vertices; otherwise the current position.
fn straightened(mesh: &Mesh, vertex: usize, [there, back]: [&[Vec<usize>]; 2], heights: &[f64]) -> (f64, f64) {
    let own = heights[vertex];
    let distance = |link: &usize| (heights[*link] - own).abs();
    let Some(nearest) = there[vertex].iter().min_by(|a, b| distance(a).total_cmp(&distance(b))) else {
        return (own, BETWEEN_BOXES);
    };
    let is_chain = there[vertex].len() == 1 && back[*nearest].len() == 1;
    if is_chain || distance(nearest) < NEARLY {
        return (heights[*nearest], STRAIGHT * weight(mesh.is_box(vertex), mesh.is_box(*nearest)).powi(2));
    }
    (own, BETWEEN_BOXES)
}
