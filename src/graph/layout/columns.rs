//! Which column a box stands in: the longest way to it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A column by box. Where edges form a circle, as only a database changed by hand has them, those that lead back from
/// the first box of the circle are left out, so that there always is an answer.
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
                // What is left waits for itself: the first of it goes where it can.
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
    fn a_column_is_the_longest_way_to_it() {
        assert_eq!(assign(5, &[(0, 1), (1, 2), (0, 2), (3, 2)]), [0, 1, 2, 0, 0]);
    }

    #[test]
    fn circles_are_cut_where_they_begin() {
        assert_eq!(assign(4, &[(0, 1), (1, 2), (2, 0), (2, 3), (3, 3)]), [0, 1, 2, 3]);
    }
}
