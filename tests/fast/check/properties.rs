//! Properties of the check, on random input.

use flowsmith::report::findings::{Report, github, json, sarif, text};
use flowsmith_core::check::order::StepGraph;
use flowsmith_core::check::{CheckSettings, check};
use flowsmith_core::definition::decode;
use flowsmith_core::finding::Findings;
use flowsmith_core::source::{Sources, parse};
use proptest::prelude::*;

fn survives(name: &str, bytes: Vec<u8>) {
    let sources = Sources::one(name, bytes);
    let checked = check(&sources, &CheckSettings::default());
    let report = Report::new(&checked, &sources);
    for written in [text(&report, false), json(&report), github(&report), sarif(&report)] {
        assert!(!written.chars().any(|each| each.is_control() && each != '\n'), "{written:?}");
    }
}

/// Pieces of definitions in random order, similar enough to real ones to reach every rule.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "flow: a\n",
        "flow",
        "version: 2\n",
        "steps:\n",
        "  load: {}\n",
        "  ship:\n",
        "    depends_on: [load, ",
        "ship]\n",
        "    map: run\n",
        "    if: { a: 1 }\n",
        "    if_not: ",
        "{}",
        "[",
        "]",
        "{",
        "}",
        ": ",
        "- ",
        "\n",
        "  ",
        "\t",
        "&a ",
        "*a",
        "<<: ",
        "!!str ",
        "---\n",
        "\"",
        "'",
        "|\n",
        "> \n",
        "# c\n",
        "é",
        "🚚",
        "\u{202e}",
        "\\0",
        "1e999",
        "0x",
        "null",
        "~",
        "triggers:\n",
        "  - name: t\n",
        "    cron: '* * * * *'\n",
        "environments:\n",
        "  p: ",
        "a = 1\n",
        "[steps.load]\n",
        "[[triggers]]\n",
        "= ",
        "\"\"\"",
        "2024-01-01",
        "\r\n",
        ",",
        "timeout: 5m\n",
        "input: { type: object }\n",
    ]);
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// The same flow in YAML and in TOML.
fn twins() -> impl Strategy<Value = (String, String)> {
    let step = (0..4_u8, prop::option::of(0..20_i32), prop::option::of("[1-9][smhd]"), any::<bool>());
    let steps = prop::collection::vec(step, 1..12);
    ("[a-z]{1,10}", 1..9_u32, prop::option::of("[ -~é]{1,20}"), steps).prop_map(
        |(slug, version, description, steps)| {
            let mut yaml = format!("flow: \"{slug}\"\nversion: {version}\n");
            let mut toml = format!("flow = \"{slug}\"\nversion = {version}\n");
            if let Some(description) = description {
                let quoted = description.replace('\\', "\\\\").replace('"', "\\\"");
                yaml.push_str(&format!("description: \"{quoted}\"\n"));
                toml.push_str(&format!("description = \"{quoted}\"\n"));
            }
            yaml.push_str("steps:\n");
            for (number, (dependency, attempts, timeout, condition)) in steps.into_iter().enumerate() {
                yaml.push_str(&format!("  s{number}:\n    depends_on: [s{dependency}]\n"));
                toml.push_str(&format!("[steps.s{number}]\ndepends_on = [\"s{dependency}\"]\n"));
                if let Some(attempts) = attempts {
                    yaml.push_str(&format!("    max_attempts: {attempts}\n"));
                    toml.push_str(&format!("max_attempts = {attempts}\n"));
                }
                if let Some(timeout) = timeout {
                    yaml.push_str(&format!("    timeout: {timeout}\n"));
                    toml.push_str(&format!("timeout = \"{timeout}\"\n"));
                }
                if condition {
                    yaml.push_str("    if: { s1: { a: [1, 2.5, true, x] } }\n");
                    toml.push_str("if = { s1 = { a = [1, 2.5, true, \"x\"] } }\n");
                }
            }
            (yaml, toml)
        },
    )
}

proptest! {
    #[test]
    fn any_bytes_are_checked_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        survives("a.yaml", bytes.clone());
        survives("a.toml", bytes);
    }

    #[test]
    fn any_text_is_checked_without_a_panic(text in "\\PC{0,100}") {
        survives("a.yaml", text.clone().into_bytes());
        survives("a.toml", text.into_bytes());
    }

    #[test]
    fn any_mix_of_pieces_is_checked_without_a_panic(text in pieces()) {
        survives("a.yaml", text.clone().into_bytes());
        survives("a.toml", text.into_bytes());
    }

    #[test]
    fn equal_yaml_and_toml_give_the_same_flow((yaml, toml) in twins()) {
        let read = |name: &str, text: &str| {
            let mut findings = Findings::default();
            let documents = parse(text, name.as_ref(), &mut findings);
            assert_eq!(findings.len(), 0, "{text}");
            decode(&documents[0], &mut findings)
        };
        prop_assert_eq!(read("a.yaml", &yaml), read("a.toml", &toml));
    }

    #[test]
    fn order_puts_dependencies_first_and_otherwise_follows_the_file(
        nodes in 1..30_usize,
        edges in prop::collection::vec((0..30_usize, 0..30_usize), 0..60),
    ) {
        let edges: Vec<_> = edges.into_iter().filter(|(from, to)| from != to && *from < nodes && *to < nodes).collect();
        let graph = StepGraph::from_edges(nodes, &edges);
        let (cycles, _) = graph.cycles();
        let Some(order) = graph.order() else {
            // Without an order there is a cycle, and each reported cycle is one.
            prop_assert!(!cycles.is_empty());
            for cycle in cycles {
                for (place, step) in cycle.iter().enumerate() {
                    let waits_for = cycle[(place + 1) % cycle.len()];
                    prop_assert!(edges.contains(&(waits_for, *step)));
                    prop_assert!(!cycle[..place].contains(step));
                }
                prop_assert_eq!(cycle.first(), cycle.iter().min());
            }
            return Ok(());
        };
        prop_assert!(cycles.is_empty());
        let mut sorted = order.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..nodes).collect::<Vec<_>>());
        for (place, step) in order.iter().enumerate() {
            let is_ready = |step: usize| edges.iter().all(|(from, to)| *to != step || order[..place].contains(from));
            prop_assert!(is_ready(*step));
            // No earlier step of the file could have come here.
            prop_assert!((0..*step).all(|earlier| order[..place].contains(&earlier) || !is_ready(earlier)));
        }
    }
}
