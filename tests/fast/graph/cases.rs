//! Every folder under `tests/cases/graph` is a graph; its snapshots are the drawings of it in each format.

use std::fs;

use flowsmith::graph::{Graph, dot, mermaid};
use flowsmith::report::graph_html;
use flowsmith_postgres::runs::StepStatus;
use flowsmith_postgres::runs::{RunDetail, StepDetail};
use serde_json::{from_value, json};

use super::{assert_drawings, assert_page, cases, flow_of, graph_of, picture};

/// The cases with a flow file. Tests build the other ones.
fn flows() -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(cases()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| cases().join(name).join("flow.yaml").exists());
    names.sort();
    names
}

#[test]
fn drawings_equal_their_snapshots() {
    let names = flows();
    assert!(names.len() >= 6, "only {} cases", names.len());
    for name in names {
        let graph = graph_of(&name);
        assert_drawings(&name, &graph);
    }
}

fn step(status: StepStatus) -> StepDetail {
    let (completed, failed) = (i32::from(status == StepStatus::Completed), i32::from(status == StepStatus::Failed));
    from_value(json!({
        "step": "", "kind": "single", "depends_on": [], "status": status, "seconds": 1.25, "tasks": 1, "queued": 0, "started": 0,
        "completed": completed, "failed": failed, "unfinished": 0, "not_run": 0, "attempts": 1, "max_attempts": 3, "task_list": [],
    }))
    .unwrap()
}

/// A run of the flow `everything`, with a step in each state.
pub(super) fn run() -> RunDetail {
    let depends_on = ["each".to_owned(), "once".to_owned(), "vip".to_owned()].to_vec();
    let created = StepDetail { depends_on, tasks: None, seconds: None, ..step(StepStatus::Created) };
    let skipped = |reason: &str| StepDetail {
        skip_reason: Some(reason.to_owned()),
        tasks: None,
        seconds: None,
        ..step(StepStatus::Skipped)
    };
    let each = StepDetail {
        tasks: Some(2_000),
        queued: 500,
        started: 10,
        completed: 1_490,
        attempts: 3,
        error: Some("HTTP 503 from https://stock.example.com/reserve: <busy>\nand more lines".to_owned()),
        seconds: Some(7_265.0),
        ..step(StepStatus::Started)
    };
    let once = StepDetail { error: Some("division by zero".to_owned()), ..step(StepStatus::Failed) };
    let steps = [
        ("fetch", step(StepStatus::Completed)),
        ("vip", skipped("condition_unmet")),
        ("gift", skipped("dependency_skipped")),
        ("each", each),
        ("each_again", created.clone()),
        ("once", once),
        ("bill", created),
        // `mail` is missing: it was added to the flow after the start of the run.
    ];
    let run = json!({
        "run_id": "7d0e2c7e-3c3c-4a9f-9d4e-0c1f2a3b4c5d", "flow": "everything", "version": 3, "slug": "everything_v3",
        "status": "started", "read_at": "2026-11-21T14:01:40+00:00", "started_at": "2026-11-21T12:00:00+00:00", "seconds": 7_300.0, "steps": [],
    });
    let steps = steps.map(|(slug, step)| StepDetail { step: slug.to_owned(), ..step }).to_vec();
    RunDetail { steps, ..from_value(run).unwrap() }
}

#[test]
fn run_drawing_shows_the_status_of_each_step() {
    let graph = Graph::of_run(&flow_of("everything"), &run());
    assert_drawings("run", &graph);
    let page = graph_html(&graph);
    assert_page("run", &page);
    let output = [
        "completed in 1.2 s",
        "skipped: condition unmet",
        "started, 1490 of 2000 tasks, 2 h 1 min",
        "up to 3 attempts so far",
        "HTTP 503 from https://stock.example.com/reserve: &lt;busy&gt;",
        "tasks: 500 queued, 10 started, 1490 completed",
        "failed in 1.2 s",
        "waits for 2 steps",
        "not in this run",
        "started 2 h 1 min ago, 3 of 7 steps done",
    ];
    for words in output {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn run_drawing_shows_unstarted_steps_as_queued_and_ended_steps_in_the_past() {
    let mut run = run();
    let mut put = |place: usize, step: StepDetail| {
        run.steps[place] = StepDetail { step: run.steps[place].step.clone(), ..step };
    };
    let reason = Some("handler_failed".to_owned());
    put(1, StepDetail { skip_reason: reason, attempts: 2, ..step(StepStatus::Skipped) });
    put(2, StepDetail { queued: 1, attempts: 0, seconds: Some(8.3), ..step(StepStatus::Started) });
    put(3, StepDetail { unfinished: 3, not_run: 2, tasks: Some(3), ..step(StepStatus::CutOff) });
    let graph = Graph::of_run(&flow_of("everything"), &run);
    let page = graph_html(&graph);
    for words in
        ["queued for 8.3 s", "<td>queued</td>", "skipped: handler failed", "2 attempts", "tasks: 1 cut off, 2 not run"]
    {
        assert!(page.contains(words), "{words}: {page}");
    }
    assert!(!page.contains("so far") && !page.contains("not finished"), "{page}");
    let gift = graph.nodes.iter().find(|node| node.slug == "gift").unwrap();
    assert_eq!(gift.drawn_status(), Some(StepStatus::Created), "not as one that is under way");
    assert!(!mermaid(&graph).contains(":::started") && !dot(&graph).contains("#1d4ed8"));
}

#[test]
fn descriptions_appear_in_every_format() {
    let graph = graph_of("everything");
    let page = graph_html(&graph);
    let purpose = "The order with its items, as the later steps need it";
    for text in [picture(&graph), page.clone(), dot(&graph), mermaid(&graph)] {
        assert!(text.contains(purpose), "{text}");
    }
    for text in [picture(&graph), dot(&graph)] {
        assert!(text.contains("triggers: nightly (cron 0 2 * * *), paid (insert, update of public.orders)"), "{text}");
    }
    for words in ["<code>nightly</code>", "Once a night, when the shop is quiet", "insert, update of public.orders"] {
        assert!(page.contains(words), "{words}");
    }
    assert_page("everything", &page);
}

#[test]
fn picture_shows_every_option_of_a_step() {
    let text = picture(&graph_of("everything"));
    let output = [
        "everything@3",
        "each step: 5 attempts · 10s before a retry · 10m timeout · owner: shop · tier: critical",
        "8 attempts, the 2nd after 1m",
        "if plan: &quot;premium&quot;",
        "if not banned: true",
        "else skip it and all after",
        "else fail the run",
        "on failure skip it",
        "on failure skip it and all after",
        "starts 2h later",
        "30s timeout",
        "a task per element of fetch",
        "1 attempt",
        "handler {&quot;sql&quot;:&quot;select shop.fetch(:input)&quot;}",
    ];
    for words in output {
        assert!(text.contains(words), "{words}");
    }
}

#[test]
fn hostile_texts_are_escaped() {
    let graph = graph_of("hostile");
    let markup = ["<script", "</title><", "</svg><img", "onerror=alert(4)>", "\u{202e}", "\u{2066}", "\u{7}"];
    for text in [picture(&graph), graph_html(&graph)] {
        let own = text.replace("</title>\n", "").replace("</svg>\n", "");
        for markup in markup {
            assert!(!own.contains(markup), "{markup}");
        }
    }
    let mermaid = mermaid(&graph);
    for line in mermaid.lines().skip(4) {
        // Only the delimiters of a label are quotes, and no text of the flow becomes a directive, comment, click or style.
        let quotes = line.matches('"').count();
        assert!(quotes == 0 || quotes == 2, "{line}");
        let of_text = ["%%", "`", "javascript:", "<script", "<img"];
        assert!(!of_text.iter().any(|text| line.contains(text)), "{line}");
    }
}

#[test]
fn pictures_are_deterministic() {
    for name in flows() {
        let write = || picture(&graph_of(&name));
        assert_eq!(write(), write(), "{name}");
    }
}
