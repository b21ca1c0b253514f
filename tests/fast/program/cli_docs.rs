//! The documentation of the command line matches the program.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use flowsmith_core::definition::shape;
use flowsmith_core::finding::Code;

use crate::shared::program::{Program, commands, groups_of_the_help};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a generated file with the committed one; UPDATE=1 writes it.
fn assert_committed(name: &str, generated: &str) {
    let path = root().join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, generated).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == generated, "{name} is out of date: regenerate it with UPDATE=1\n{generated}");
}

#[test]
fn cli_page_equals_the_help() {
    let program = Program::in_folder(root());
    let mut page = "# Command line reference\n\n\
                    This page is the output of `flowsmith --help` and of `flowsmith COMMAND --help` for each command, \
                    without the options\nthat all commands share. It is generated: `UPDATE=1 cargo test --test it \
                    cli_docs` rewrites it.\n"
        .to_owned();
    let help = program.run(&["--help"]).stdout;
    page.push_str(&format!("\n## flowsmith\n\n```text\n{}\n```\n", help.trim_end()));
    for command in commands(&program) {
        let help = program.run(&[&command, "--help"]).stdout;
        // All commands share the settings; the first section lists them.
        let own = help.split("\n\nSettings:\n").next().unwrap_or_default();
        page.push_str(&format!("\n## flowsmith {command}\n\n```text\n{}\n```\n", own.trim_end()));
    }
    assert_committed("docs/cli.md", &page);
}

#[test]
fn help_command_prints_the_same_as_the_flag() {
    let program = Program::in_folder(root());
    assert_eq!(program.run(&["help"]).stdout, program.run(&["--help"]).stdout);
    let (help, flag) = (program.run(&["help", "plan"]), program.run(&["plan", "--help"]));
    assert_eq!((help.exit, help.stdout), (Some(0), flag.stdout));
    assert_eq!(program.run(&["help", "plam"]).exit, Some(64));
}

#[test]
fn help_fits_80_columns() {
    let program = Program::in_folder(root());
    let mut commands = commands(&program);
    // One line for each command, and a heading and an empty line for each further group.
    let mut most = vec![44; commands.len()];
    most.push(28 + commands.len() + 2 * (groups_of_the_help(&program).len() - 1));
    commands.push("--color=never".to_owned());
    for (command, most) in commands.into_iter().zip(most) {
        let help = program.shell(&format!("COLUMNS=80 flowsmith {command} --help")).stdout;
        assert!(help.lines().count() <= most, "{command}: {} lines", help.lines().count());
        for line in help.lines() {
            assert!(line.chars().count() <= 80, "{command}: {line}");
        }
    }
}

/// Every file under a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// The codes in the source. Each is a string literal.
fn codes_of_the_source() -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for file in files(&root().join("src")).into_iter().chain(files(&root().join("crates"))) {
        let Ok(text) = fs::read_to_string(file) else { continue };
        for (place, _) in text.match_indices("\"FS") {
            let code = text[place + 1..].split('"').next().unwrap_or_default();
            if code.len() == 5 && code[2..].bytes().all(|byte| byte.is_ascii_digit()) {
                codes.insert(code.to_owned());
            }
        }
    }
    codes
}

/// The titles of the pages, by code.
fn pages() -> BTreeMap<String, String> {
    let mut pages = BTreeMap::new();
    for file in files(&root().join("docs/findings")) {
        let code = file.file_stem().unwrap().to_str().unwrap().to_owned();
        if code == "README" {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let title = text.lines().next().and_then(|line| line.strip_prefix(&format!("# {code}: ")));
        let title = title.unwrap_or_else(|| panic!("{} does not begin with its code and a title", file.display()));
        assert!(text.contains("\n## Why\n"), "{} does not say why", file.display());
        assert!(text.contains("\n## Fix"), "{} does not say what to do", file.display());
        pages.insert(code, title.to_owned());
    }
    pages
}

#[test]
fn codes_of_the_source_equal_the_pages() {
    let pages: BTreeSet<String> = pages().into_keys().collect();
    assert_eq!(codes_of_the_source(), pages);
}

#[test]
fn error_pages_show_an_example_of_the_message() {
    let of_findings: BTreeSet<&str> = Code::FINDINGS.iter().map(|code| code.as_str()).collect();
    for code in pages().into_keys().filter(|code| !of_findings.contains(code.as_str())) {
        let page = fs::read_to_string(root().join(format!("docs/findings/{code}.md"))).unwrap();
        assert!(page.contains(&format!("\n## Example\n\n```text\nerror[{code}]: ")), "{code}");
        assert!(page.contains(&format!("\n  = more: flowsmith explain {code}\n```\n")), "{code}");
    }
}

#[test]
fn index_of_codes_lists_every_page() {
    const GROUPS: [(&str, &str); 9] = [
        ("FS0", "Reading files"),
        ("FS1", "Keys and values"),
        ("FS2", "Names and versions"),
        ("FS3", "Steps and dependencies"),
        ("FS4", "Conditions"),
        ("FS5", "Options"),
        ("FS6", "Triggers"),
        ("FS7", "Engine levels"),
        ("FS8", "Migrations, settings and the command line"),
    ];
    let mut index = "# Codes\n\nEvery code that flowsmith prints; `flowsmith explain CODE` prints its page. \
                     Generated; `UPDATE=1 cargo test cli_docs` rewrites it.\n"
        .to_owned();
    let pages = pages();
    for (prefix, group) in GROUPS.into_iter().chain([("FS9", "The database, the engine, the embedded server")]) {
        index.push_str(&format!("\n## {group}\n\n"));
        for (code, title) in pages.iter().filter(|(code, _)| code.starts_with(prefix)) {
            index.push_str(&format!("- [{code}]({code}.md) {title}\n"));
        }
    }
    assert_committed("docs/findings/README.md", &index);
}

#[test]
fn explain_prints_pages_and_the_index() {
    let program = Program::in_folder(root());
    let page = program.run(&["explain", "fs914"]);
    assert_eq!(program.run(&["explain", "914"]).stdout, page.stdout);
    assert_eq!((page.exit, page.stdout.lines().next()), (Some(0), Some("# FS914: the database has drifted")));
    let prose = page.stdout.split("```").step_by(2).flat_map(str::lines);
    assert!(prose.clone().count() > 10 && prose.clone().all(|line| line.chars().count() <= 80), "{}", page.stdout);
    let index = program.run(&["explain"]);
    assert!(index.stdout.contains("FS301"), "{index:?}");
    let unknown = program.run(&["explain", "FS000"]);
    assert_eq!((unknown.exit, unknown.stdout.as_str()), (Some(64), ""));
}

#[test]
fn readme_names_every_key_of_the_format() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    for object in [&shape::FLOW, &shape::OPTIONS, &shape::STEP, &shape::HANDLER, &shape::TRIGGER] {
        for field in object.fields {
            assert!(readme.contains(&format!("`{}`", field.name)), "README.md lacks {} of {}", field.name, object.name);
        }
    }
}

#[test]
fn readme_lists_commands_in_the_groups_of_the_help() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, table) = readme.split_once("\n## Commands\n").expect("a section of commands");
    let cell = |line: &str| line.strip_prefix("| ")?.split_once(" |").map(|(cell, _)| cell.to_owned());
    let command = |cell: &str| cell.trim_matches('`').split(' ').next().unwrap_or_default().to_owned();
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for cell in table.lines().take_while(|line| !line.starts_with('#')).filter_map(cell).skip(1) {
        match (cell.strip_prefix("**").and_then(|cell| cell.strip_suffix("**")), groups.last_mut()) {
            (Some(heading), _) => groups.push((heading.to_owned(), Vec::new())),
            (None, Some((_, names))) => names.push(command(&cell)),
            (None, None) => panic!("{cell} is in no group"),
        }
    }
    let mut expected = groups_of_the_help(&Program::in_folder(root()));
    for (_, names) in &mut expected {
        names.retain(|name| name != "help");
    }
    assert_eq!(groups, expected);
}
