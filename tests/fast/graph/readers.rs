//! Graphviz, Mermaid and a browser parse the pictures. A test whose program is missing is skipped and says so; `.ci/run`
//! installs the programs.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use flowsmith::graph::{Graph, Style, dot, mermaid, svg};
use flowsmith::report::graph_html;

use super::cases::run;
use super::{flow_of, graph_of, picture};
use crate::shared::skip;

const CASES: [&str; 6] = ["everything", "fan_of_20", "hostile", "long_names", "long_way", "unconnected"];

/// The graph of every case, and that of a run.
fn graphs() -> Vec<(&'static str, Graph)> {
    let of_flow = |name| (name, graph_of(name));
    CASES.into_iter().map(of_flow).chain([("run", Graph::of_run(&flow_of("everything"), &run()))]).collect()
}

/// The output of a program; `None`, and a message, if it is not installed.
fn printed(program: &str, arguments: &[&str]) -> Option<String> {
    let output = match Command::new(program).args(arguments).stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => {
            skip(&format!("{program} does not start: {error}"));
            return None;
        }
    };
    let answer = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {answer}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn graphviz_parses_every_step_and_edge() {
    let folder = tempfile::tempdir().unwrap();
    for (name, graph) in graphs() {
        let file = folder.path().join(format!("{name}.dot"));
        fs::write(&file, dot(&graph)).unwrap();
        let Some(plain) = printed("dot", &["-Tplain", file.to_str().unwrap()]) else { return };
        let count = |kind: &str| plain.lines().filter(|line| line.starts_with(kind)).count();
        assert_eq!((count("node "), count("edge ")), (graph.nodes.len(), graph.edges.len()), "{name}");
    }
}

/// Parses each given file and prints the numbers of its steps and edges.
const READ_MERMAID: &str = "
import { JSDOM } from 'jsdom';
import fs from 'fs';
globalThis.window = new JSDOM('').window;
globalThis.document = window.document;
const mermaid = (await import('mermaid')).default;
for (const file of process.argv.slice(2)) {
  // The first call registers the kinds of diagrams.
  await mermaid.parse(fs.readFileSync(file, 'utf8'));
  const diagram = await mermaid.mermaidAPI.getDiagramFromText(fs.readFileSync(file, 'utf8'));
  console.log(diagram.type, diagram.db.getVertices().size, diagram.db.getEdges().length);
}
";

#[test]
fn mermaid_parses_every_step_and_edge() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mermaid");
    if !folder.join("node_modules/mermaid").is_dir() {
        skip(&format!("no Mermaid: npm install --prefix {} mermaid@12.3.0 jsdom@29.1.1", folder.display()));
        return;
    }
    let files = tempfile::tempdir_in(&folder).unwrap();
    let script = files.path().join("read.mjs");
    fs::write(&script, READ_MERMAID).unwrap();
    let mut arguments = vec![script.to_str().unwrap().to_owned()];
    let mut expected = String::new();
    for (name, graph) in graphs() {
        let file = files.path().join(format!("{name}.mmd"));
        fs::write(&file, mermaid(&graph)).unwrap();
        arguments.push(file.to_str().unwrap().to_owned());
        expected.push_str(&format!("flowchart-v2 {} {}\n", graph.nodes.len(), graph.edges.len()));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some(read) = printed("node", &arguments) else { return };
    assert_eq!(read, expected);
}

/// Measures the texts of a page and lists those that leave their box or picture.
const MEASURE: &str = "<script>
const outside = [];
let texts = 0;
const leaves = (text, room) => {
  const own = text.getBBox();
  texts += 1;
  const slack = 1;
  if (own.x < room.x - slack || own.x + own.width > room.x + room.width + slack ||
      own.y < room.y - slack || own.y + own.height > room.y + room.height + slack) outside.push(text.textContent);
};
for (const step of document.querySelectorAll('.step')) {
  const boxes = step.querySelectorAll('.box');
  const room = boxes[boxes.length - 1].getBBox();
  for (const text of step.querySelectorAll('.name, .row')) leaves(text, room);
}
for (const picture of document.querySelectorAll('svg')) {
  const [x, y, width, height] = picture.getAttribute('viewBox').split(' ').map(Number);
  for (const text of picture.querySelectorAll('.title, .fact')) leaves(text, { x, y, width, height });
}
document.body.textContent = `MEASURED ${texts} OUTSIDE ${JSON.stringify(outside)} END`;
</script>";

/// The content of a page after the browser has run its scripts.
fn browse(folder: &Path, name: &str, content: &str) -> Option<String> {
    let file = folder.join(name);
    fs::write(&file, content).unwrap();
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let address = format!("file://{}", file.display());
    let arguments =
        ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", &profile, "--dump-dom", &address];
    printed("chromium", &arguments)
}

#[test]
fn texts_fit_into_their_boxes_in_a_browser() {
    let folder = tempfile::tempdir().unwrap();
    let mut page = "<!doctype html><meta charset=utf-8><body>".to_owned();
    for (_, graph) in graphs() {
        page.push_str(&picture(&graph));
    }
    page.push_str(MEASURE);
    let Some(seen) = browse(folder.path(), "page.html", &page) else { return };
    let (_, measured) = seen.split_once("MEASURED ").expect("the script runs");
    let (texts, rest) = measured.split_once(" OUTSIDE ").unwrap();
    assert!(texts.parse::<usize>().unwrap() > 100, "{texts} texts");
    assert!(rest.starts_with("[] END"), "{}", rest.split(" END").next().unwrap());
}

/// Parses the pictures in `pictures` as the files that they are, and counts the names of steps in each.
const PARSE: &str = "const counts = pictures.map(picture => {
  const parsed = new DOMParser().parseFromString(picture, 'image/svg+xml');
  if (parsed.querySelector('parsererror')) return parsed.documentElement.textContent;
  return parsed.querySelectorAll('.name').length;
});
document.body.textContent = `PARSED ${JSON.stringify(counts)} END`;
</script>";

#[test]
fn browser_parses_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let graphs = graphs();
    let pictures: Vec<String> = graphs.iter().map(|(_, graph)| picture(graph)).collect();
    let pictures = serde_json::to_string(&pictures).unwrap().replace('<', "\\u003c");
    let page = format!("<!doctype html><meta charset=utf-8><body><script>const pictures = {pictures};{PARSE}");
    // All in one page, because starting a browser takes a second.
    let Some(seen) = browse(folder.path(), "pictures.html", &page) else { return };
    let (_, parsed) = seen.split_once("PARSED ").expect("the script runs");
    let counts: Vec<serde_json::Value> = serde_json::from_str(parsed.split(" END").next().unwrap()).unwrap();
    assert_eq!(counts.len(), graphs.len());
    for ((name, graph), count) in graphs.iter().zip(counts) {
        assert!(count.as_u64().is_some_and(|count| count >= graph.nodes.len() as u64), "{name}: {count}");
    }
}

#[test]
fn browser_runs_no_scripts_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    let graph = graph_of("hostile");
    let page = graph_html(&graph);
    let Some(seen) = browse(folder.path(), "hostile.html", &page) else { return };
    for element in ["<script", "<img", "<b>"] {
        assert!(!seen.contains(element), "{element}");
    }
    assert!(seen.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "the description is there, as text");
}

#[test]
fn pages_load_nothing_from_the_network() {
    for (name, graph) in graphs() {
        let page = graph_html(&graph);
        // Texts of flows cannot contain these: `<` and quotes are escaped.
        for loading in ["<link", "<script", "<img", "<iframe", " src=\"", " href=\"", "@import", "url("] {
            assert!(!page.contains(loading), "{name}: {loading}");
        }
        assert!(page.contains("Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\""));
        let picture = svg(&graph, Style { id: "flow", alone: false });
        assert!(page.contains(&picture), "{name}");
    }
}
