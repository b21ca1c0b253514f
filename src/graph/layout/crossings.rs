//! Orders the vertices within columns: sweeps move each vertex to the median of its neighbours, and the best result is kept.

use super::mesh::{Mesh, Part};

/// From this number of vertices on, there are fewer sweeps.
const MANY_VERTICES: usize = 3_000;

/// Vertices with more links are not swapped with their neighbours, because each trial reads all links.
const MAX_LINKS_TO_SWAP: usize = 64;

/// The connected parts of a mesh with ordered columns.
pub(super) fn reduce(mesh: &Mesh) -> Vec<Part> {
    let mut parts = parts(mesh);
    let sweeps = match mesh.column.len() {
        0..MANY_VERTICES => 24,
        MANY_VERTICES..30_000 => 8,
        _ => 4,
    };
    let mut place = vec![0; mesh.column.len()];
    for part in &mut parts {
        order(part, mesh, &mut place, sweeps);
    }
    parts
}

/// The connected parts. Their vertices have the order of a depth-first search, which keeps branches together.
fn parts(mesh: &Mesh) -> Vec<Part> {
    let mut is_seen = vec![false; mesh.column.len()];
    let mut parts = Vec::new();
    // Boxes have the order of the file. Every waypoint is linked to a box, so that the boxes reach all parts.
    for start in 0..mesh.boxes {
        if is_seen[start] {
            continue;
        }
        let mut vertices = Vec::new();
        let mut open = vec![start];
        while let Some(vertex) = open.pop() {
            if std::mem::replace(&mut is_seen[vertex], true) {
                continue;
            }
            vertices.push(vertex);
            open.extend(mesh.left[vertex].iter().chain(&mesh.right[vertex]).rev().filter(|next| !is_seen[**next]));
        }
        let columns = || vertices.iter().map(|vertex| mesh.column[*vertex]);
        let first = columns().min().unwrap_or(0);
        let last = columns().max().unwrap_or(0);
        let mut part = Part { first, columns: vec![Vec::new(); last + 1 - first] };
        for vertex in vertices {
            part.columns[mesh.column[vertex] - first].push(vertex);
        }
        parts.push(part);
    }
    parts
}

fn order(part: &mut Part, mesh: &Mesh, place: &mut [usize], sweeps: usize) {
    for column in &part.columns {
        note(column, place);
    }
    let mut fewest = count(part, mesh, place);
    let mut best = part.columns.clone();
    let is_small = part.columns.iter().map(Vec::len).sum::<usize>() < MANY_VERTICES;
    for sweep in 0..sweeps {
        if fewest == 0 {
            break;
        }
        let count_of_columns = part.columns.len();
        for step in 1..count_of_columns {
            let (index, links) =
                if sweep % 2 == 0 { (step, &mesh.left) } else { (count_of_columns - 1 - step, &mesh.right) };
            sort_by_medians(&mut part.columns[index], links, place);
        }
        if is_small {
            swap_neighbours(part, mesh, place);
        }
        let crossings = count(part, mesh, place);
        if crossings < fewest {
            fewest = crossings;
            best.clone_from(&part.columns);
        }
    }
    part.columns = best;
}

fn note(column: &[usize], place: &mut [usize]) {
    for (index, vertex) in column.iter().enumerate() {
        place[*vertex] = index;
    }
}

/// Sorts vertices by the median position of their neighbours. A vertex without links keeps its position.
fn sort_by_medians(column: &mut [usize], links: &[Vec<usize>], place: &mut [usize]) {
    // The key is twice the median, which is an integer, and then the mean for equal medians.
    let mut keyed: Vec<(usize, f64, usize)> = column
        .iter()
        .map(|vertex| {
            let mut places: Vec<usize> = links[*vertex].iter().map(|other| place[*other]).collect();
            if places.is_empty() {
                return (2 * place[*vertex], as_f64(place[*vertex]), *vertex);
            }
            places.sort_unstable();
            let last = places.len() - 1;
            let median = places[last / 2] + places[last.div_ceil(2)];
            (median, as_f64(places.iter().sum()) / as_f64(places.len()), *vertex)
        })
        .collect();
    keyed.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    for (slot, (.., vertex)) in column.iter_mut().zip(keyed) {
        *slot = vertex;
    }
    note(column, place);
}

#[expect(clippy::cast_precision_loss, reason = "places and counts of a picture are far below 2^52")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

/// Swaps adjacent vertices as long as that removes crossings, for a few rounds at most.
fn swap_neighbours(part: &mut Part, mesh: &Mesh, place: &mut [usize]) {
    for _ in 0..4 {
        let mut improved = false;
        for column in &mut part.columns {
            for index in 1..column.len() {
                let (upper, lower) = (column[index - 1], column[index]);
                let links = |vertex: usize| mesh.left[vertex].len() + mesh.right[vertex].len();
                if links(upper).max(links(lower)) > MAX_LINKS_TO_SWAP {
                    continue;
                }
                let between = |upper: usize, lower: usize| {
                    [&mesh.left, &mesh.right]
                        .map(|links| inversions(&links[upper], &links[lower], place))
                        .iter()
                        .sum::<usize>()
                };
                if between(lower, upper) < between(upper, lower) {
                    column.swap(index - 1, index);
                    place.swap(upper, lower);
                    improved = true;
                }
            }
        }
        if !improved {
            return;
        }
    }
}

/// The number of crossings between the links of two vertices, of which `upper` is above `lower`.
fn inversions(upper: &[usize], lower: &[usize], place: &[usize]) -> usize {
    upper.iter().map(|a| lower.iter().filter(|b| place[**b] < place[*a]).count()).sum()
}

/// The number of all crossings: for each link, the number of earlier links that end below it (Barth, Jünger and Mutzel).
fn count(part: &Part, mesh: &Mesh, place: &[usize]) -> usize {
    let mut crossings = 0;
    for pair in part.columns.windows(2) {
        let mut tree = vec![0_usize; pair[1].len() + 1];
        let mut before = 0;
        let mut ends = Vec::new();
        for vertex in &pair[0] {
            ends.clear();
            ends.extend(mesh.right[*vertex].iter().map(|end| place[*end]));
            ends.sort_unstable();
            for end in &ends {
                let mut index = end + 1;
                let mut above = 0;
                while index > 0 {
                    above += tree[index];
                    index &= index - 1;
                }
                crossings += before - above;
                before += 1;
                let mut index = end + 1;
                while index < tree.len() {
                    tree[index] += 1;
                    index += index & index.wrapping_neg();
                }
            }
        }
    }
    crossings
}

#[cfg(test)]
mod tests {
    use super::super::columns;
    use super::*;

    fn crossings(boxes: usize, edges: &[(usize, usize)]) -> (usize, usize) {
        let mesh = Mesh::new(&columns::assign(boxes, edges), edges);
        let mut place = vec![0; mesh.column.len()];
        let mut count_all = |parts: &[Part]| -> usize {
            parts.iter().flat_map(|part| &part.columns).for_each(|column| note(column, &mut place));
            parts.iter().map(|part| count(part, &mesh, &place)).sum()
        };
        let as_walked = count_all(&parts(&mesh));
        (as_walked, count_all(&reduce(&mesh)))
    }

    #[test]
    fn all_crossings_are_counted() {
        let edges = [(0, 5), (1, 4), (2, 3), (0, 4)];
        let mesh = Mesh::new(&columns::assign(6, &edges), &edges);
        let part = Part { first: 0, columns: vec![vec![0, 1, 2], vec![3, 4, 5]] };
        let mut place = vec![0; 6];
        part.columns.iter().for_each(|column| note(column, &mut place));
        // All pairs of edges cross, except those with a common end.
        assert_eq!(count(&part, &mesh, &place), 4);
    }

    /// The numbers before and after. A ring of n boxes on the left and n on the right has at least n - 1 crossings.
    #[test]
    fn avoidable_crossings_are_removed() {
        assert_eq!(crossings(8, &[(0, 4), (0, 5), (1, 6), (1, 4), (2, 7), (2, 5), (3, 7), (3, 6)]), (5, 3));
        assert_eq!(crossings(6, &[(0, 3), (0, 4), (0, 5), (1, 5), (1, 3), (2, 4)]), (3, 1));
    }

    #[test]
    fn unavoidable_crossings_remain() {
        // Each of two boxes depends on each of two others.
        assert_eq!(crossings(4, &[(0, 2), (0, 3), (1, 2), (1, 3)]), (1, 1));
    }
}
