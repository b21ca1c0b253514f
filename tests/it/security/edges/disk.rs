//! A full disk: with a limit of the size of files, writing fails at any byte. All files are whole afterwards, the program fails and
//! names the file, and the next command completes the work.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::{assert_in_order, in_shell, outcome};
use crate::fixture::command::{Project, flowsmith_engine};

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// All files of a project, without drafts, which the next command removes.
fn files(project: &Project) -> Files {
    fn collect(folder: &Path, root: &Path, files: &mut Files) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                collect(&entry, root, files);
            } else {
                files.insert(entry.strip_prefix(root).unwrap().to_owned(), fs::read(&entry).unwrap());
            }
        }
    }
    let mut all = Files::new();
    collect(&project.path(""), &project.path(""), &mut all);
    all
}

fn without_drafts(mut files: Files) -> Files {
    files.retain(|path, _| path.extension().is_none_or(|extension| extension != "tmp"));
    files
}

/// Runs a command with each limit on a project that `prepare` makes. `is_whole` tells whether a file is as the command would write
/// it. The folder has no drafts after the command has succeeded without a limit.
fn with_limits(
    arguments: &[&str],
    limits: &[u64],
    prepare: impl Fn() -> Project,
    is_whole: impl Fn(&Path, &[u8]) -> bool,
) {
    if std::process::Command::new("prlimit").arg("--version").stdout(Stdio::null()).status().is_err() {
        return crate::shared::skip("there is no prlimit");
    }
    let mut failures = 0;
    for limit in limits {
        let project = prepare();
        let before = files(&project);
        // Without the handler, the signal of the limit would end the program.
        let prelude = format!("trap '' XFSZ; prlimit --pid $$ --fsize={limit}:unlimited");
        let ended = outcome(&mut in_shell(&project, &prelude, arguments));
        let case = format!("{arguments:?} with {limit} bytes");
        assert_in_order(&case, &ended);
        let after = without_drafts(files(&project));
        for (path, content) in &after {
            let is_old = before.get(path) == Some(content);
            assert!(is_old || is_whole(path, content), "{case}: {} is cut: {ended}", path.display());
        }
        assert!(before.keys().all(|path| after.contains_key(path)), "{case}: {ended}");
        if ended.code != 0 {
            failures += 1;
            assert!(ended.stderr.contains("FS801") && ended.stderr.contains("cannot write "), "{case}: {ended}");
        }
        project.succeeds(arguments);
        let left = files(&project);
        assert_eq!(without_drafts(left.clone()), left, "{case}");
        for (path, content) in &left {
            assert!(before.get(path) == Some(content) || is_whole(path, content), "{case}: {}", path.display());
        }
    }
    assert!(failures >= 2 && failures < limits.len(), "{arguments:?}: {failures} of {} failed", limits.len());
}

#[test]
fn init_writes_whole_files() {
    let whole = Project::new();
    whole.succeeds(&["init"]);
    let expected = files(&whole);
    let largest = expected.values().map(Vec::len).max().unwrap() as u64;
    let limits = [0, 1, 300, 1_000, 2_000, largest - 1, largest];
    with_limits(&["init"], &limits, Project::new, |path, content| {
        expected.get(path).is_some_and(|whole| whole == content)
    });
}

#[test]
fn pictures_are_replaced_as_a_whole() {
    let prepare = || {
        let project = Project::new();
        project.flow("order", "", "  load: {}\n  ship: { depends_on: [load] }");
        project.write("order.svg", "<svg>old</svg>");
        project
    };
    let whole = prepare();
    whole.succeeds(&["graph", "order", "-o", "order.svg"]);
    let svg = whole.read("order.svg").into_bytes();
    let size = svg.len() as u64;
    let limits = [0, 10, size / 2, size - 1, size];
    with_limits(&["graph", "order", "-o", "order.svg"], &limits, prepare, |path, content| {
        path == Path::new("order.svg") && content == svg
    });
}

#[test]
fn migrations_are_written_as_a_whole() {
    let prepare = |compiled: bool| {
        move || {
            let project = Project::new();
            project.flow("order", "", "  load: {}");
            if compiled {
                project.compile();
                project.flow("ship", "", "  load: {}\n  send: { depends_on: [load] }");
            }
            project
        }
    };
    for compiled in [false, true] {
        let whole = prepare(compiled)();
        whole.compile();
        let size = |name: &str| fs::metadata(whole.path("migrations").join(name)).unwrap().len();
        let (sql, sum) = (size(&whole.migrations().pop().unwrap()), size("flowsmith.sum"));
        let limits = [0, 1, sum - 1, sum, sql / 2, sql - 1, sql];
        // The names of migrations have a time stamp.
        with_limits(&["compile"], &limits, prepare(compiled), |path, content| match path.extension() {
            Some(extension) if extension == "sql" => content.len() as u64 == sql,
            _ => content.len() as u64 == sum,
        });
    }
    with_limits(
        &["compile", "--rehash"],
        &[0, 1, 50, 1_000],
        || {
            let project = Project::new();
            project.flow("order", "", "  load: {}");
            project.compile();
            project.write("migrations/flowsmith.sum", "");
            project
        },
        |_, content| content.len() > 80 && content.ends_with(b"\n"),
    );
}

#[tokio::test]
async fn pulled_flow_files_are_whole() {
    let database = flowsmith_engine().await;
    let project = Project::on(&database);
    project.flow("order", "", "  load: {}\n  ship: { depends_on: [load] }");
    project.compile();
    project.succeeds(&["apply"]);
    let prepare = || {
        let project = Project::on(&database);
        project.flow("order", "", "  load: {}");
        project
    };
    let whole = prepare();
    let pull = ["pull", "--files-only", "--overwrite"];
    whole.succeeds(&pull);
    let file = whole.read("flows/order.yaml").into_bytes();
    let limits = [0, 1, file.len() as u64 - 1, file.len() as u64];
    with_limits(&pull, &limits, prepare, |path, content| path == Path::new("flows/order.yaml") && content == file);
}

/// A full disk under stdout is not a success of a command whose result is what it prints.
#[test]
fn full_stdout_is_a_failure() {
    let full = || fs::OpenOptions::new().write(true).open("/dev/full").map(Stdio::from);
    if full().is_err() {
        return crate::shared::skip("there is no /dev/full");
    }
    let project = Project::new();
    project.flow("order", "", "  load: {}");
    for arguments in [
        &["install", "--print"][..],
        &["completions", "bash"],
        &["schema"],
        &["explain"],
        &["explain", "FS101"],
        &["graph", "order"],
        &["check", "--format", "json"],
        &["--help"],
        &["--version"],
        &["help", "compile"],
    ] {
        let ended = outcome(project.command(arguments).stdout(full().unwrap()).stderr(Stdio::piped()));
        assert_eq!(ended.code, 1, "{arguments:?}: {ended}");
        assert!(ended.stderr.contains("error[FS801]: cannot write "), "{arguments:?}: {ended}");
        // Without stderr either, the exit code remains.
        let ended = outcome(project.command(arguments).stdout(full().unwrap()).stderr(full().unwrap()));
        assert_eq!(ended.code, 1, "{arguments:?}");
    }
}
