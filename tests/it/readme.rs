//! The transcripts in README.md are what the program prints.
//!
//! The commands of all `console` blocks run in order in one copy of the project. What differs from run to run is
//! replaced on both sides: the folder, the socket, times and durations, versions of migrations made just now.
//! `UPDATE=1` writes the output back.

use std::fs;
use std::path::{Path, PathBuf};

use sqlx::{AssertSqlSafe, ConnectOptions};

use crate::program::Program;
use crate::support;

const FOLDER: &str = "/home/you/flowsmith";
const SOCKET: &str = "/tmp/flowsmith-1-0";
const EXAMPLES: &str = "20261121120000";

/// A copy of the project; its server is stopped with it, also by a test that fails.
struct Copy {
    folder: PathBuf,
    program: Program,
}

impl Copy {
    fn new(root: &Path) -> Self {
        let folder = support::folder("readme");
        for name in ["flows", "migrations"] {
            fs::create_dir(folder.join(name)).unwrap();
            for entry in fs::read_dir(root.join(name)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    fs::copy(&path, folder.join(name).join(path.file_name().unwrap())).unwrap();
                }
            }
        }
        Self { program: Program::in_folder(&folder), folder }
    }

    /// What a line of the transcript prints.
    async fn run(&self, line: &str) -> String {
        if let Some(sql) = line.strip_prefix("psql \"$DATABASE_URL\" -c \"").and_then(|rest| rest.strip_suffix('"')) {
            return self.psql(sql).await;
        }
        let line = line.replace("cargo run --release -- ", "flowsmith ");
        let printed = self.program.shell(&format!("{{ {line}; }} 2>&1"));
        assert_eq!(printed.stderr, "", "{line}");
        printed.stdout
    }

    /// psql is not on every machine that has a server.
    async fn psql(&self, sql: &str) -> String {
        let report = self.program.run(&["up", "--quiet"]).stdout;
        let url = report.split('\'').nth(1).unwrap();
        let options: sqlx::postgres::PgConnectOptions = url.parse().unwrap();
        let mut connection = options.connect().await.unwrap();
        let done = sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut connection).await.unwrap();
        let verb = sql.split(' ').next().unwrap().to_uppercase();
        format!("{verb} {}\n", done.rows_affected())
    }

    /// The output as it would be anywhere, at any time.
    fn normalise(&self, text: &str) -> String {
        let text = text.replace(self.folder.to_str().unwrap(), FOLDER);
        let mut result = String::new();
        for line in text.lines() {
            let line = rest_after(line, "data in ", &format!("{FOLDER}/.flowsmith/postgres"));
            let line = numbers_after(&line, "/tmp/flowsmith-", &SOCKET["/tmp/flowsmith-".len()..]);
            let line = durations(&line);
            result.push_str(versions(&line).trim_end());
            result.push('\n');
        }
        result
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        self.program.run(&["down"]);
    }
}

/// Replaces what stands behind a mark to the line's end.
fn rest_after(line: &str, mark: &str, with: &str) -> String {
    line.split_once(mark).map_or_else(|| line.to_owned(), |(before, _)| format!("{before}{mark}{with}"))
}

/// Replaces digits and dashes behind a mark.
fn numbers_after(line: &str, mark: &str, with: &str) -> String {
    let mut parts = line.split(mark);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
        result.push_str(&format!("{mark}{with}{rest}"));
    }
    result
}

/// ` in 37 ms` and ` in 1.2 s` at a line's end.
fn durations(line: &str) -> String {
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match line.rsplit_once(" in ").map(|(before, took)| (before, took.split(' ').collect::<Vec<_>>())) {
        Some((before, took)) if matches!(took[..], [number, "ms" | "s"] if is_number(number)) => {
            format!("{before} in 40 ms")
        }
        _ => line.to_owned(),
    }
}

/// Versions of migrations made just now, counted from the examples', and the times of day in reports.
fn versions(line: &str) -> String {
    let mut result = String::new();
    let mut rest = line;
    while let Some(place) = rest.find(|c: char| c.is_ascii_digit()) {
        let (before, from) = rest.split_at(place);
        let length = from.bytes().take_while(u8::is_ascii_digit).count();
        result.push_str(before);
        result.push_str(if length == EXAMPLES.len() && &from[..length] != EXAMPLES {
            "20261123094512"
        } else {
            &from[..length]
        });
        rest = &from[length..];
    }
    result.push_str(rest);
    result
}

#[tokio::test]
async fn transcripts_in_the_readme_are_what_the_program_prints() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let copy = Copy::new(root);
    let mut written = String::new();
    let mut in_transcript = false;
    for line in readme.lines() {
        if !in_transcript || line == "```" || line.starts_with("$ ") {
            written.push_str(&format!("{line}\n"));
        }
        if line == "```console" {
            in_transcript = true;
        } else if line == "```" {
            in_transcript = false;
        } else if in_transcript && let Some(command) = line.strip_prefix("$ ") {
            written.push_str(&copy.normalise(&copy.run(command).await));
        }
    }
    assert!(copy.folder.join(".flowsmith/.gitignore").exists(), "the data would go into git");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root.join("README.md"), &written).unwrap();
    }
    let difference = readme.lines().zip(written.lines()).find(|(is, printed)| is != printed);
    assert!(readme == written || std::env::var_os("UPDATE").is_some(), "UPDATE=1 rewrites it: {difference:#?}");
}
