//! The dashboard, the alerts and the documentation match the metrics of an endpoint.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use flowsmith_worker::{METRICS, Metric, MetricKind};
use serde_json::Value;

use super::{Endpoint, echo};
use crate::fixture::new_folder;
use crate::shared::skip;
use crate::worker::Fixture;

fn root(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// The metrics page of a worker that has run a task.
async fn page() -> String {
    let mut fixture = Fixture::with("select pgflow.create_flow('f'); select pgflow.add_step('f', 'a')").await;
    let worker = fixture.work(fixture.builder().metrics("127.0.0.1:0").flow("f").step("a", echo)).await;
    let endpoint = Endpoint::of(&fixture.events).await;
    let run = fixture.start("f", "{}").await;
    assert_eq!(fixture.end_of(&run).await.0, "completed");
    let page = endpoint.get("/metrics").await.body;
    worker.stop().await;
    page
}

/// The names that a query can use; for a histogram, those of its series.
fn names(page: &str) -> BTreeSet<String> {
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE ")).map(|line| line.split_once(' ').unwrap());
    let names = types.flat_map(|(name, kind)| match kind {
        "histogram" => ["_bucket", "_sum", "_count"].map(|suffix| format!("{name}{suffix}")).to_vec(),
        _ => vec![name.to_owned()],
    });
    names.collect()
}

/// The names of flowsmith's metrics in a query.
fn used(query: &str) -> BTreeSet<String> {
    let words = query.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("flowsmith_")).map(str::to_owned).collect()
}

/// All queries of the dashboard, in panels and variables.
fn dashboard_queries() -> Vec<String> {
    fn collect(value: &Value, queries: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match value {
                        Value::String(query) if name == "expr" || name == "query" && query.contains("flowsmith_") => {
                            queries.push(query.clone());
                        }
                        _ => collect(value, queries),
                    }
                }
            }
            Value::Array(items) => items.iter().for_each(|item| collect(item, queries)),
            _ => {}
        }
    }
    let text = fs::read_to_string(root("packaging/grafana/flowsmith.json")).unwrap();
    let mut queries = Vec::new();
    collect(&serde_json::from_str(&text).unwrap(), &mut queries);
    queries
}

/// Runs promtool, if it is installed, and returns whether it succeeded and its output.
fn promtool(arguments: &[&str], input: &str) -> Option<(bool, String)> {
    let mut command = Command::new("promtool");
    let command = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            skip(&format!("no promtool (Debian: prometheus): {error}"));
            return None;
        }
    };
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    Some((output.status.success(), String::from_utf8(text).unwrap()))
}

#[tokio::test]
async fn endpoint_serves_exactly_the_listed_metrics() {
    let page = page().await;
    let listed: BTreeSet<(&str, &str)> = METRICS.iter().map(|metric| (metric.name, metric.kind.as_str())).collect();
    let types = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let given: Vec<(&str, &str)> = types.map(|line| line.split_once(' ').unwrap()).collect();
    assert_eq!(given.iter().copied().collect::<BTreeSet<_>>(), listed);
    assert_eq!(given.len(), listed.len(), "a metric occurs twice");
    for Metric { name, help, kind, labels, .. } in METRICS {
        assert!(page.contains(&format!("# HELP {name} {help}\n")), "{name}");
        assert_eq!(*kind == MetricKind::Counter, name.ends_with("_total"), "{name}");
        let series = page.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.strip_prefix(name));
        for labelled in series.filter_map(|line| line.strip_prefix('{')) {
            for label in *labels {
                assert!(labelled.contains(&format!("{label}=\"")), "{name}{{{labelled}");
            }
            assert_eq!(labelled.matches("=\"").count(), labels.len(), "{name}{{{labelled}");
        }
        // Other labels could create a series for each run or worker.
        let known = ["flow", "step", "outcome", "code"];
        assert!(labels.iter().all(|label| known.contains(label)), "{name}: {labels:?}");
    }
}

#[tokio::test]
async fn promtool_accepts_the_page_without_warnings() {
    let page = page().await;
    if let Some((is_ok, output)) = promtool(&["check", "metrics"], &page) {
        assert!(is_ok && output.trim().is_empty(), "{output}");
        let (is_ok, output) = promtool(&["check", "metrics"], &page.replace(" gauge\n", " gouge\n")).unwrap();
        assert!(!is_ok, "promtool accepts an invalid page: {output}");
    }
}

#[tokio::test]
async fn dashboard_uses_every_metric_and_alerts_only_existing_ones() {
    let names = names(&page().await);
    let queries = dashboard_queries();
    assert!(queries.len() > 20, "{queries:#?}");
    let dashboard: BTreeSet<String> = queries.iter().flat_map(|query| used(query)).collect();
    assert_eq!(dashboard, names);
    let alerts = fs::read_to_string(root("packaging/prometheus/alerts.yaml")).unwrap();
    let alerts: Vec<&str> = alerts.lines().filter_map(|line| line.trim().strip_prefix("expr: ")).collect();
    assert!(alerts.len() > 5);
    for expr in alerts {
        assert!(!used(expr).is_empty() && used(expr).is_subset(&names), "{expr}");
    }
}

#[test]
fn promtool_accepts_every_query_of_the_dashboard() {
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    for (at, query) in dashboard_queries().iter().filter(|query| !query.starts_with("label_values(")).enumerate() {
        let query = query.replace("$__rate_interval", "5m");
        rules
            .push_str(&format!("      - {{ record: \"q:{at}\", expr: {} }}\n", serde_json::to_string(&query).unwrap()));
    }
    let file = new_folder("dashboard_rules").join("rules.yaml");
    fs::write(&file, &rules).unwrap();
    if let Some((is_ok, output)) = promtool(&["check", "rules", file.to_str().unwrap()], "") {
        assert!(is_ok, "{output}\n{rules}");
    }
}

#[test]
fn alerts_fire_in_their_tests() {
    let (alerts, test) = (root("packaging/prometheus/alerts.yaml"), root("packaging/prometheus/alerts.test.yaml"));
    if let Some((is_ok, output)) = promtool(&["check", "rules", alerts.to_str().unwrap()], "") {
        assert!(is_ok, "{output}");
        let (is_ok, output) = promtool(&["test", "rules", test.to_str().unwrap()], "").unwrap();
        assert!(is_ok, "{output}");
    }
    let (alerts, test) = (fs::read_to_string(alerts).unwrap(), fs::read_to_string(test).unwrap());
    for alert in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let fires = test
            .split("eval_time:")
            .any(|case| case.contains(&format!("alertname: {alert}\n")) && case.contains("exp_labels:"));
        assert!(fires, "{alert} is not seen to fire");
    }
}

/// `UPDATE=1` writes the table.
#[test]
fn documentation_lists_every_metric() {
    const HEAD: &str = "| metric | type | labels | description |\n|---|---|---|---|\n";
    let rows = METRICS.iter().map(|Metric { name, kind, labels, help, .. }| {
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        format!("| `{name}` | {} | {} | {help} |\n", kind.as_str(), labels.join(", "))
    });
    let table: String = rows.collect();
    let file = root("docs/worker.md");
    let docs = fs::read_to_string(&file).unwrap();
    let (before, rest) = docs.split_once(HEAD).expect("a table of metrics");
    let end = rest.lines().take_while(|line| line.starts_with('|')).map(|line| line.len() + 1).sum();
    let (there, after) = rest.split_at(end);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&file, format!("{before}{HEAD}{table}{after}")).unwrap();
        return;
    }
    assert!(there == table, "docs/worker.md is out of date: regenerate it with UPDATE=1\n{table}");
}
