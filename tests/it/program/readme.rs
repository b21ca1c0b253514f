//! The transcripts in README.md match the output of the program.
//!
//! The test runs the commands of all `console` blocks in order: those of the section "Quick start" in a copy of the example
//! project, those of the other sections in one shell in an empty folder. In their output it replaces the values that differ
//! between runs: the folder, the socket, ids, times, durations and the versions of new migrations. `UPDATE=1` writes the
//! output to README.md.

use std::fs;
use std::path::{Path, PathBuf};

use crate::fixture;
use crate::shared::program::Program;

const FOLDER: &str = "/home/you/flowsmith";
const SERVER: &str = "/home/you/.local/state/flowsmith/flowsmith-5d41402abc4b2a76";
const SOCKET: &str = "/tmp/flowsmith-1-0";
const EXAMPLES: &str = "20261121120000";

/// Separates the outputs of the commands.
const MARK: &str = "=== the next command ===";

/// A folder in which commands run. Dropping it stops its server, also if the test fails.
struct Place {
    folder: PathBuf,
    program: Program,
}

impl Place {
    fn empty(name: &str) -> Self {
        let folder = fixture::new_folder(name);
        Self { program: Program::in_folder(&folder), folder }
    }

    fn copy_of(root: &Path) -> Self {
        let place = Self::empty("readme_copy");
        for name in ["flows", "migrations"] {
            fs::create_dir(place.folder.join(name)).unwrap();
            for entry in fs::read_dir(root.join(name)).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    fs::copy(&path, place.folder.join(name).join(path.file_name().unwrap())).unwrap();
                }
            }
        }
        place
    }

    /// Runs the commands in one shell and returns the output of each.
    fn run(&self, commands: &[&str]) -> Vec<String> {
        let mut script = "exec 2>&1\n".to_owned();
        for command in commands {
            script.push_str(&format!("echo '{MARK}'\n{}\n", command.replace("cargo run --release -- ", "flowsmith ")));
        }
        let file = self.folder.with_extension("sh");
        fs::write(&file, script).unwrap();
        let printed = self.program.shell(&format!("timeout 300 sh {}", file.display()));
        assert_eq!((printed.exit, printed.stderr.as_str()), (Some(0), ""), "{}", printed.stdout);
        let mark = format!("{MARK}\n");
        let mut outputs = printed.stdout.split(&mark);
        assert_eq!(outputs.next(), Some(""));
        outputs.map(|output| self.normalise(output)).collect()
    }

    /// Replaces the values that differ between runs.
    fn normalise(&self, text: &str) -> String {
        let text = text.replace(self.folder.to_str().unwrap(), FOLDER);
        let mut result = String::new();
        for line in text.lines() {
            let line = rest_after(line, "data in ", SERVER);
            let line = numbers_after(&line, "/tmp/flowsmith-", &SOCKET["/tmp/flowsmith-".len()..]);
            let line = ids(&durations(&line));
            result.push_str(versions(&line).trim_end());
            result.push('\n');
        }
        result
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.program.run(&["down"]);
    }
}

/// Replaces the text after a mark up to the end of the line.
fn rest_after(line: &str, mark: &str, with: &str) -> String {
    line.split_once(mark).map_or_else(|| line.to_owned(), |(before, _)| format!("{before}{mark}{with}"))
}

/// Replaces the digits and dashes after each mark.
fn numbers_after(line: &str, mark: &str, with: &str) -> String {
    let mut parts = line.split(mark);
    let mut result = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-');
        result.push_str(&format!("{mark}{with}{rest}"));
    }
    result
}

/// Replaces durations: ` in 37 ms` at the end of a line, `completed  45 ms`, `completed after 2.1 s`. Only the step with a start
/// delay and its run take seconds.
fn durations(line: &str) -> String {
    let (is_step, is_slow) = (line.contains("  completed"), line.starts_with("Run ") || line.contains("ask_feedback"));
    let instead = if is_slow { ["2.1", "s"] } else { ["40", "ms"] };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let mut words: Vec<&str> = line.split(' ').collect();
    for at in 1..words.len().saturating_sub(1) {
        let is_last = words[at - 1] == "in" && at + 2 == words.len();
        if (is_step || is_last) && is_number(words[at]) && ["ms", "s"].contains(&words[at + 1]) {
            words[at..at + 2].copy_from_slice(&instead);
        }
    }
    words.join(" ")
}

/// Replaces ids of runs and times in UTC.
fn ids(line: &str) -> String {
    const ID: &str = "5f495d26-0335-4bff-beb6-41ff2c91be6c";
    const TIME: &str = "2026-11-23 09:45:12";
    let shape = |text: &str| -> String {
        text.chars()
            .map(|c| {
                if c.is_ascii_digit() {
                    '0'
                } else if matches!(c, 'a'..='f') {
                    'a'
                } else {
                    c
                }
            })
            .collect()
    };
    let is_id = |text: &str| shape(text).replace('a', "0") == shape(ID).replace('a', "0");
    let mut result = String::new();
    let mut rest = line;
    while let Some(first) = rest.chars().next() {
        let (length, with) = match (rest.get(..ID.len()), rest.get(..TIME.len())) {
            (Some(id), _) if is_id(id) => (ID.len(), ID),
            (_, Some(time)) if shape(time) == shape(TIME) => (TIME.len(), TIME),
            _ => (first.len_utf8(), &rest[..first.len_utf8()]),
        };
        result.push_str(with);
        rest = &rest[length..];
    }
    result
}

/// Replaces the versions of new migrations, but not that of the examples.
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

/// A section: its lines without the outputs of commands, and its commands.
struct Section<'a> {
    lines: Vec<&'a str>,
    commands: Vec<&'a str>,
}

fn sections(readme: &str) -> Vec<Section<'_>> {
    let mut sections = vec![Section { lines: Vec::new(), commands: Vec::new() }];
    let mut in_transcript = false;
    for line in readme.lines() {
        if line.starts_with("## ") {
            sections.push(Section { lines: Vec::new(), commands: Vec::new() });
        }
        let Some(section) = sections.last_mut() else { unreachable!("the first section is added above") };
        match line {
            "```console" => in_transcript = true,
            "```" => in_transcript = false,
            _ => {}
        }
        let command = line.strip_prefix("$ ").filter(|_| in_transcript);
        section.commands.extend(command);
        // The outputs are written again.
        if !in_transcript || command.is_some() || line == "```console" {
            section.lines.push(line);
        }
    }
    sections
}

#[test]
fn readme_transcripts_equal_the_output() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let sections = sections(&readme);
    let (quick_start, others): (Vec<_>, Vec<_>) =
        sections.iter().partition(|section| section.lines.first() == Some(&"## Quick start"));
    let mut outputs = Vec::new();
    for (place, sections) in [(Place::copy_of(root), quick_start), (Place::empty("readme_project"), others)] {
        let commands: Vec<&str> = sections.iter().flat_map(|section| section.commands.iter().copied()).collect();
        assert!(commands.len() > 1, "{commands:?}");
        let printed = place.run(&commands);
        assert_eq!(printed.len(), commands.len(), "{commands:?}");
        outputs.extend(printed);
    }
    let mut outputs = outputs.into_iter();
    let mut written = String::new();
    for section in &sections {
        let mut commands = section.commands.iter().peekable();
        for line in &section.lines {
            written.push_str(&format!("{line}\n"));
            if commands.peek().is_some_and(|command| line.strip_prefix("$ ") == Some(*command)) {
                commands.next();
                written.push_str(&outputs.next().unwrap());
            }
        }
    }
    if std::env::var_os("UPDATE").is_some() {
        fs::write(root.join("README.md"), &written).unwrap();
    }
    let difference = readme.lines().zip(written.lines()).find(|(is, printed)| is != printed);
    assert!(readme == written || std::env::var_os("UPDATE").is_some(), "UPDATE=1 rewrites it: {difference:#?}");
}
