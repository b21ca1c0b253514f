//! Properties of a layout, on random graphs: boxes do not overlap, edges do not cross boxes, and the layout terminates.

use flowsmith::graph::Graph;
use flowsmith::graph::layout::{Layout, Point, Rect, Size, layout};
use flowsmith_core::catalog::{Annotations, Flow, FlowId, FlowOptions, State, Step};
use proptest::prelude::*;

use super::picture;

/// Boxes of several sizes, and edges from earlier ones to later ones.
fn graphs() -> impl Strategy<Value = (Vec<Size>, Vec<(usize, usize)>)> {
    let size = (40.0..300.0_f64, 20.0..150.0_f64).prop_map(|(width, height)| Size { width, height });
    prop::collection::vec(size, 1..40).prop_flat_map(|sizes| {
        let count = sizes.len();
        let edges = prop::collection::btree_set((0..count, 0..count), 0..count * 2);
        let forward = edges.prop_map(|edges| edges.into_iter().filter(|(from, to)| from < to).collect());
        (Just(sizes), forward)
    })
}

fn right(rect: &Rect) -> f64 {
    rect.at.x + rect.size.width
}

fn bottom(rect: &Rect) -> f64 {
    rect.at.y + rect.size.height
}

/// Whether a straight line through a column crosses a box.
fn crosses(rect: &Rect, start: Point, end: Point) -> bool {
    let within = start.y > rect.at.y && start.y < bottom(rect);
    within && start.x < right(rect) && end.x > rect.at.x
}

fn assert_drawn_well(drawn: &Layout, edges: &[(usize, usize)]) {
    for (index, rect) in drawn.boxes.iter().enumerate() {
        assert!(rect.at.x >= 0.0 && rect.at.y >= 0.0, "{rect:?}");
        assert!(right(rect) <= drawn.size.width + 0.1 && bottom(rect) <= drawn.size.height + 0.1, "{rect:?}");
        for other in &drawn.boxes[index + 1..] {
            let apart = right(rect) <= other.at.x
                || right(other) <= rect.at.x
                || bottom(rect) <= other.at.y
                || bottom(other) <= rect.at.y;
            assert!(apart, "{rect:?} lies on {other:?}");
        }
    }
    for (route, (from, to)) in drawn.routes.iter().zip(edges) {
        let way = drawn.curves(route);
        let (first, last) = (way.first().unwrap(), way.last().unwrap());
        let (source, target) = (&drawn.boxes[*from], &drawn.boxes[*to]);
        assert!((first.0.x - right(source)).abs() < 0.11, "it starts where its box ends");
        assert!((last.1.x - target.at.x).abs() < 0.11, "it ends where its box begins");
        assert!((first.0.y - f64::midpoint(source.at.y, bottom(source))).abs() < 0.11);
        assert!((last.1.y - f64::midpoint(target.at.y, bottom(target))).abs() < 0.11);
        for (start, end) in &way {
            assert!(start.x < end.x, "it leads to the right");
            // Curves run between columns, where there are no boxes.
            let in_gap = |rect: &Rect| rect.at.x < end.x - 0.11 && right(rect) > start.x + 0.11;
            assert!(!drawn.boxes.iter().any(in_gap), "a box between columns");
        }
        for pair in way.windows(2) {
            let (start, end) = (pair[0].1, pair[1].0);
            assert!((start.y - end.y).abs() < 0.01, "it goes straight through a column");
            assert!(!drawn.boxes.iter().any(|rect| crosses(rect, start, end)), "through a box");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn layout_separates_boxes_and_routes_edges_around_them((sizes, edges) in graphs()) {
        let drawn = layout(&sizes, &edges);
        assert_drawn_well(&drawn, &edges);
        prop_assert_eq!(layout(&sizes, &edges), drawn, "and the same again");
    }

    /// Only a manually changed database has cycles.
    #[test]
    fn layout_accepts_cycles(edges in prop::collection::vec((0..12_usize, 0..12_usize), 0..40)) {
        let drawn = layout(&[Size { width: 50.0, height: 30.0 }; 12], &edges);
        prop_assert_eq!(drawn.routes.len(), edges.len());
        for (route, (from, to)) in drawn.routes.iter().zip(&edges).filter(|(_, (from, to))| from != to) {
            let way = drawn.curves(route);
            let (first, last) = (way.first().unwrap().0, way.last().unwrap().1);
            prop_assert!((first.y - drawn.boxes[*from].at.y - 15.0).abs() < 0.11);
            prop_assert!((last.y - drawn.boxes[*to].at.y - 15.0).abs() < 0.11);
        }
    }
}

#[test]
fn layout_keeps_chains_and_long_edges_straight() {
    let sizes = [30.0, 90.0, 50.0, 70.0, 30.0, 60.0].map(|height| Size { width: 80.0, height });
    let chain: Vec<_> = (1..6).map(|step| (step - 1, step)).collect();
    let drawn = layout(&sizes, &chain);
    let curves = drawn.routes.iter().flat_map(|route| drawn.curves(route));
    assert!(curves.into_iter().all(|(start, end)| (start.y - end.y).abs() < 0.11), "{drawn:?}");

    let with_first: Vec<_> = chain.iter().copied().chain([(0, 5)]).collect();
    let drawn = layout(&sizes, &with_first);
    let way = drawn.curves(drawn.routes.last().unwrap());
    assert!(way[1..way.len() - 1].iter().all(|(start, end)| (start.y - end.y).abs() < 0.11), "{way:?}");
}

#[test]
fn layout_centers_steps_that_split_and_join() {
    let sizes = [Size { width: 80.0, height: 40.0 }; 22];
    let edges: Vec<_> = (1..21).map(|step| (0, step)).chain((1..21).map(|step| (step, 21))).collect();
    let drawn = layout(&sizes, &edges);
    let middle = f64::midpoint(drawn.boxes[1].at.y, drawn.boxes[20].at.y);
    assert!((drawn.boxes[0].at.y - middle).abs() < 0.11 && (drawn.boxes[21].at.y - middle).abs() < 0.11);
    let in_order = drawn.boxes[1..21].windows(2).all(|pair| pair[0].at.y < pair[1].at.y);
    assert!(in_order, "branches stand in the order of the file");
}

/// A flow of `count` steps; `sources` returns the dependencies of each.
fn flow(count: usize, sources: impl Fn(usize) -> Vec<usize>) -> Flow {
    let step = |index: usize| {
        let mut depends_on: Vec<String> = sources(index).iter().map(|source| format!("step_{source}")).collect();
        depends_on.sort();
        depends_on.dedup();
        Step { depends_on, ..Step::single(format!("step_{index}")) }
    };
    Flow {
        id: FlowId::new("many", 1),
        state: State::Current,
        options: FlowOptions::DEFAULT,
        steps: (0..count).map(step).collect(),
        triggers: Vec::new(),
        annotations: Annotations::default(),
    }
}

#[test]
fn layout_draws_ten_thousand_steps() {
    const COUNT: usize = 10_000;
    type Sources = fn(usize) -> Vec<usize>;
    let shapes: [(&str, Sources); 5] = [
        ("a chain that names its first step each time", |index| if index == 0 { vec![] } else { vec![0, index - 1] }),
        ("a chain with a way from the half", |index| if index == 0 { vec![] } else { vec![index / 2, index - 1] }),
        ("one after which all start", |index| if index == 0 { vec![] } else { vec![0] }),
        ("all before one", |index| if index == COUNT - 1 { (0..index).collect() } else { vec![] }),
        (
            "a thicket",
            |index| if index < 40 { vec![] } else { vec![index - 1 - index * 7 % 39, index - 1 - index * 11 % 37] },
        ),
    ];
    for (shape, sources) in shapes {
        let flow = flow(COUNT, sources);
        let text = picture(&Graph::of_flow(&flow));
        assert_eq!(text.matches("<g class=\"step\"").count(), COUNT, "{shape}");
        assert!(text.len() < 40_000_000, "{shape}: {} bytes", text.len());
    }
}
