//! What reads the pictures: Graphviz, Mermaid, a browser. A test whose program is not at hand is left out and says so;
//! `.ci/run` installs them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use flowsmith::graph::{Graph, Style, dot, mermaid, svg};
use flowsmith::report::graph_html;

use super::cases::run;
use super::{flow_of, graph_of, picture};
use crate::shared::skip;

const CASES: [&str; 6] = ["everything", "fan_of_20", "hostile", "long_names", "long_way", "unconnected"];

/// Every case, and a run.
fn graphs() -> Vec<(&'static str, Graph)> {
    let of_flow = |name| (name, graph_of(name));
    CASES.into_iter().map(of_flow).chain([("run", Graph::of_run(&flow_of("everything"), &run()))]).collect()
}

/// What a program prints; none, loudly, where it is not on this machine.
fn printed(program: &str, arguments: &[&str]) -> Option<String> {
    let output = match Command::new(program).args(arguments).stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) => {
            skip(&format!("{program} does not start: {error}"));
            return None;
        }
    };
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn graphviz_reads_every_step_and_edge() {
    let folder = tempfile::tempdir().unwrap();
    for (name, graph) in graphs() {
        let file = folder.path().join(format!("{name}.dot"));
        fs::write(&file, dot(&graph)).unwrap();
        let Some(plain) = printed("dot", &["-Tplain", file.to_str().unwrap()]) else { return };
        let count = |kind: &str| plain.lines().filter(|line| line.starts_with(kind)).count();
        assert_eq!((count("node "), count("edge ")), (graph.nodes.len(), graph.edges.len()), "{name}");
    }
}

/// Reads each file that it is given and prints its steps and edges.
const READ_MERMAID: &str = "
import { JSDOM } from 'jsdom';
import fs from 'fs';
globalThis.window = new JSDOM('').window;
globalThis.document = window.document;
const mermaid = (await import('mermaid')).default;
for (const file of process.argv.slice(2)) {
  // It registers the kinds of diagrams on the first call.
  await mermaid.parse(fs.readFileSync(file, 'utf8'));
  const diagram = await mermaid.mermaidAPI.getDiagramFromText(fs.readFileSync(file, 'utf8'));
  console.log(diagram.type, diagram.db.getVertices().size, diagram.db.getEdges().length);
}
";

#[test]
fn mermaid_reads_every_step_and_edge() {
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

/// Measures the texts of a page, and says which of them leave their box or their picture.
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

/// The page as the browser has it after its scripts have run.
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
fn in_a_browser_every_text_fits_into_its_box() {
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

#[test]
fn a_browser_reads_pictures_and_pages_and_runs_nothing_in_them() {
    let folder = tempfile::tempdir().unwrap();
    for (name, graph) in graphs() {
        let Some(seen) = browse(folder.path(), &format!("{name}.svg"), &picture(&graph)) else { return };
        assert!(!seen.contains("parsererror"), "{name}: {seen}");
        assert!(seen.matches("class=\"name\"").count() >= graph.nodes.len(), "{name}");
    }
    let graph = graph_of("hostile");
    let page = graph_html(&graph);
    let Some(seen) = browse(folder.path(), "hostile.html", &page) else { return };
    for element in ["<script", "<img", "<b>"] {
        assert!(!seen.contains(element), "{element}");
    }
    assert!(seen.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "the description is there, as text");
}

#[test]
fn pages_need_no_network() {
    for (name, graph) in graphs() {
        let page = graph_html(&graph);
        // Texts of flows have neither: `<` and quotes are escaped in them.
        for loading in ["<link", "<script", "<img", "<iframe", " src=\"", " href=\"", "@import", "url("] {
            assert!(!page.contains(loading), "{name}: {loading}");
        }
        assert!(page.contains("Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\""));
        let picture = svg(&graph, Style { id: "flow", alone: false });
        assert!(page.contains(&picture), "{name}");
    }
}
