//! The workflow that `init` writes: a pull request has no secret, and nothing unpublished is installed by its name.

use std::path::{Path, PathBuf};
use std::process::Command;

use flowsmith_core::finding::Findings;
use flowsmith_core::source::{Node, parse};
use serde_json::{Value, json};

const WORKFLOW: &str = include_str!("../../../templates/init/workflow.yml");

fn workflow() -> Value {
    let mut findings = Findings::default();
    let documents = parse(WORKFLOW, Path::new("flowsmith.yml"), &mut findings);
    assert!(findings.is_empty() && documents.len() == 1, "{findings:?}");
    documents.first().map(Node::to_json).unwrap()
}

fn steps(job: &Value) -> &[Value] {
    job["steps"].as_array().unwrap()
}

#[test]
fn only_one_step_of_the_deployment_has_a_secret() {
    let workflow = workflow();
    assert!(workflow["on"].get("pull_request").is_some() && workflow["on"].get("pull_request_target").is_none());
    let (check, deploy) = (&workflow["jobs"]["check"], &workflow["jobs"]["deploy"]);
    assert_eq!(deploy["if"], json!("github.event_name == 'push'"));
    assert_eq!((&deploy["environment"], &check["environment"]), (&json!("production"), &Value::Null));
    assert_eq!(WORKFLOW.matches("secrets.").count(), 1);
    let with_secret: Vec<_> =
        steps(deploy).iter().filter(|step| step["env"].to_string().contains("secrets.DATABASE_URL")).collect();
    let [step] = with_secret[..] else { panic!("{with_secret:?}") };
    let commands = step["run"].as_str().unwrap();
    assert!(commands.lines().all(|line| line.starts_with("flowsmith ")), "{commands}");
}

#[test]
fn jobs_have_the_least_permissions() {
    let workflow = workflow();
    assert_eq!(workflow["permissions"], json!({}));
    for (name, job) in workflow["jobs"].as_object().unwrap() {
        assert_eq!(job["permissions"], json!({ "contents": "read" }), "{name}");
        for step in steps(job).iter().filter(|step| step.get("uses").is_some()) {
            assert_eq!(step["uses"], json!("actions/checkout@v4"), "{name}");
            assert_eq!(step["with"]["persist-credentials"], json!(false), "{name}");
        }
    }
}

#[test]
fn flowsmith_is_built_from_a_commit_that_the_user_names() {
    let workflow = workflow();
    assert_eq!(
        (&workflow["env"]["FLOWSMITH_REPOSITORY"], &workflow["env"]["FLOWSMITH_COMMIT"]),
        (&json!(""), &json!(""))
    );
    for (name, job) in workflow["jobs"].as_object().unwrap() {
        let installs: Vec<_> = steps(job).iter().filter_map(|step| step["run"].as_str()).collect();
        let installs: Vec<_> = installs.iter().filter(|run| run.contains("install ")).collect();
        assert!(installs.contains(&&"cargo install --locked --path .flowsmith-source"), "{name}: {installs:?}");
        let source = steps(job).iter().find(|step| step["with"]["path"] == json!(".flowsmith-source")).unwrap();
        assert_eq!(source["with"]["ref"], json!("${{ env.FLOWSMITH_COMMIT }}"), "{name}");
    }
    for fetched in ["cargo install --locked flowsmith", "curl", "npx", "pip ", "binstall"] {
        assert!(!WORKFLOW.contains(fetched), "{fetched}");
    }
}

/// The program, on the path or where `.ci/run` installs it.
fn zizmor() -> Option<PathBuf> {
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tmp/zizmor/bin/zizmor");
    let candidates = [installed, PathBuf::from("zizmor")];
    candidates.into_iter().find(|program| Command::new(program).arg("--version").output().is_ok())
}

#[test]
fn zizmor_has_no_findings() {
    let Some(program) = zizmor() else { return crate::shared::skip("zizmor is not installed (pip install zizmor)") };
    let folder = tempfile::tempdir().unwrap();
    let (file, config) = (folder.path().join("flowsmith.yml"), folder.path().join("zizmor.yml"));
    std::fs::write(&file, WORKFLOW).unwrap();
    // The comment in the workflow says why GitHub's own actions are pinned by version.
    let policy = "rules: { unpinned-uses: { config: { policies: { 'actions/*': ref-pin, '*': hash-pin } } } }\n";
    std::fs::write(&config, policy).unwrap();
    let output =
        Command::new(program).args(["--offline", "--no-progress", "--config"]).arg(config).arg(file).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
