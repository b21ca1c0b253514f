//! Assigns boxes to columns: the column is the length of the longest path to the box.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The column of each box. Edges can form a cycle only in a database that was changed manually; then the edges back to the first
/// box of the cycle are ignored.
pub(super) fn assign(boxes: usize, edges: &[(usize, usize)]) -> Vec<usize> {
    let mut next = vec![Vec::new(); boxes];
    let mut waits = vec![0_usize; boxes];
    for (from, to) in edges.iter().filter(|(from, to)| from != to) {
        next[*from].push(*to);
        waits[*to] += 1;
    }
    let mut columns = vec![0; boxes];
    let mut is_placed = vec![false; boxes];
    let mut ready: BinaryHeap<_> = (0..boxes).filter(|place| waits[*place] == 0).map(Reverse).collect();
    let mut first_left = 0;
    loop {
        let place = match ready.pop() {
            Some(Reverse(place)) => place,
            None => {
                // The remaining boxes are part of a cycle or depend on one; the first of them is placed next.
                while is_placed.get(first_left) == Some(&true) {
                    first_left += 1;
                }
                if first_left == boxes {
                    return columns;
                }
                first_left
            }
        };
        is_placed[place] = true;
        for to in std::mem::take(&mut next[place]) {
            if is_placed[to] {
                continue;
            }
            columns[to] = columns[to].max(columns[place] + 1);
            waits[to] -= 1;
            if waits[to] == 0 {
                ready.push(Reverse(to));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::assign;

    #[test]
    fn column_is_the_length_of_the_longest_path() {
        assert_eq!(assign(5, &[(0, 1), (1, 2), (0, 2), (3, 2)]), [0, 1, 2, 0, 0]);
    }

    #[test]
    fn cycles_are_cut_at_their_first_box() {
        assert_eq!(assign(4, &[(0, 1), (1, 2), (2, 0), (2, 3), (3, 3)]), [0, 1, 2, 3]);
    }
}
