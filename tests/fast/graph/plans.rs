//! The page of a plan: what changes, marked in pictures, beside the words of the text.

use std::sync::Arc;

use flowsmith::graph::{Graph, Mark, dot, mermaid};
use flowsmith::report::{Subject, TextLayout, plan_html, plan_text};
use flowsmith_core::catalog::{Catalog, Ignore};
use flowsmith_core::diff::Change;
use flowsmith_postgres::drift::Drift;
use flowsmith_postgres::introspection::Live;
use flowsmith_postgres::plan::{Abilities, Plan, PlannedChange, changes};
use flowsmith_postgres::runs::RunTotals;

use super::{assert_page, catalog, picture};

const BEFORE: &str = "
flow: order
steps:
  load: {}
  price: { depends_on: [load], max_attempts: 4 }
  gift: { depends_on: [load], if: { load: { vip: true } } }
  send: { depends_on: [price, gift] }
---
flow: tuned
steps:
  a: { timeout: 30s }
  b: { depends_on: [a] }
---
flow: gone
steps:
  a: {}
";

const AFTER: &str = "
flow: order
description: <script>alert('<b>')</script>
defaults: { timeout: 2m }
steps:
  load: {}
  price: { depends_on: [load], max_attempts: 6 }
  check: { depends_on: [load] }
  send: { depends_on: [price, check] }
---
flow: tuned
steps:
  a: { timeout: 1m }
  b: { depends_on: [a] }
---
flow: fresh
steps:
  list: {}
  each: { map: list }
";

fn subject() -> Subject {
    Subject { database: "app@db.internal:5432/app".to_owned(), engine: "engine 0.14, flowsmith's".to_owned() }
}

/// What turns one file into another, in a database that has runs of `order` and `tuned`.
fn planned() -> Plan {
    let live = Live { catalog: catalog(BEFORE), ..Live::default() };
    let (changes, unmanaged) = changes(&live, catalog(AFTER), &["gone".to_owned()].into(), &Ignore::default());
    let runs = RunTotals { started: 2, total: 31 };
    let runs = [("order".to_owned(), runs), ("tuned".to_owned(), runs)].into();
    let abilities = Abilities { conditions: true, pg_cron: true };
    Plan::new(changes, unmanaged, &runs, abilities, &[], Drift::default())
}

#[test]
fn a_plan_is_a_page_with_its_changes_marked() {
    let page = plan_html(&planned(), &subject());
    assert_page("plan", &page);
    assert_eq!(page.matches("<svg ").count(), 4);
    let classes = |class: &str| page.matches(&format!("<g class=\"step{class}\"")).count();
    assert_eq!(classes(" added"), 3, "check, list, each");
    assert_eq!(classes(" removed"), 1, "the step of `gone`");
    assert_eq!(classes(" conditional removed"), 1, "gift");
    assert_eq!(classes(" changed"), 3, "price, send, a");
    assert!(page.contains("<path class=\"edge added\"") && page.contains("<path class=\"edge removed\""));
    assert!(!page.contains("<script"));
}

#[test]
fn the_page_has_the_words_of_the_text_and_each_class() {
    let plan = planned();
    let page = plan_html(&plan, &subject());
    let unescaped = page.replace("&#39;", "'").replace("&quot;", "\"").replace("&lt;", "<").replace("&amp;", "&");
    let unescaped = unescaped.replace("<code>", "`").replace("</code>", "`");
    let mut lines = 0;
    let text = anstream::adapter::strip_str(&plan_text(&plan, &subject(), TextLayout::UNLIMITED)).to_string();
    for line in text.lines().skip(2).map(str::trim).filter(|line| !line.is_empty()) {
        // `~ order@1  6 differences  [replace]`, or a difference, or a hazard.
        let line = line.trim_end_matches(']');
        for part in line.split("  ").flat_map(|part| part.split('[')).map(str::trim).filter(|part| !part.is_empty()) {
            let part = part.trim_start_matches(['+', '~', '-']).trim();
            assert!(unescaped.contains(part), "{part}");
        }
        lines += 1;
    }
    assert!(lines > 10, "{text}");
    assert!(page.contains("raise <code>version:</code> in the flow file"));
    for class in ["record", "safe", "tune", "replace", "drop"] {
        assert!(page.contains(&format!(">{class}</span>")), "{class}");
    }
}

#[test]
fn a_change_is_told_without_colours_too() {
    let plan = planned();
    let change = plan.changes.iter().find(|planned| planned.change.database_slug() == "order").unwrap();
    let graph = Graph::of_change(&change.change);
    let marks: Vec<(&str, Mark)> = graph.nodes.iter().map(|node| (node.slug.as_str(), node.mark)).collect();
    let expected = [
        ("load", Mark::Same),
        ("price", Mark::Changed),
        ("check", Mark::Added),
        ("send", Mark::Changed),
        ("gift", Mark::Removed),
    ];
    assert_eq!(marks, expected);
    let edge = |from: &str, to: &str| {
        let place = |slug: &str| graph.nodes.iter().position(|node| node.slug == slug).unwrap();
        let (from, to) = (place(from), place(to));
        graph.edges.iter().find(|edge| (edge.from, edge.to) == (from, to)).unwrap().mark
    };
    assert_eq!(edge("load", "price"), Mark::Same);
    assert_eq!(edge("load", "check"), Mark::Added);
    assert_eq!(edge("gift", "send"), Mark::Removed);
    let numbered = [("#91;", "["), ("#93;", "]"), ("#95;", "_"), ("#8594;", "→")];
    let mermaid = numbered.iter().fold(mermaid(&graph), |text, (number, letter)| text.replace(number, letter));
    for text in [picture(&graph), mermaid, dot(&graph)] {
        for words in ["new step", "removed", "max_attempts 4 → 6 [tune]"] {
            assert!(text.contains(words), "{words}: {text}");
        }
    }
}

#[test]
fn an_empty_plan_is_a_page_that_says_so() {
    let page = plan_html(&Plan::default(), &subject());
    assert!(page.contains("No changes: the database matches the flow files."), "{page}");
}

/// A browser is slow with hundreds of thousands of boxes.
#[test]
fn a_page_draws_so_many_steps_and_names_the_rest() {
    let flow = |index: usize| {
        let steps: String = (0..1_000).map(|step| format!("  s{step}: {{}}\n")).collect();
        catalog(&format!("flow: f{index}\nsteps:\n{steps}")).iter().next().unwrap().1.clone()
    };
    let all: Catalog = (0..7).map(flow).collect();
    let changes = all.iter().map(|(_, flow)| PlannedChange {
        change: Change::Create(Arc::clone(flow)),
        runs: RunTotals::default(),
        hazards: Vec::new(),
    });
    let page = plan_html(&Plan { changes: changes.collect(), ..Plan::default() }, &subject());
    assert_eq!(page.matches("<svg ").count(), 5);
    assert_eq!(page.matches("Not drawn").count(), 2);
    assert!(page.contains("<code>flowsmith graph f6@1</code>"), "it says how to see it");
}
