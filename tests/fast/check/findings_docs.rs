//! The table of codes, the pages about them and the tests that trigger them say the same.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use flowsmith_core::check::{CheckSettings, Checked, check};
use flowsmith_core::finding::Code;
use flowsmith_core::source::Sources;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn page(code: Code) -> String {
    fs::read_to_string(root().join(code.page())).unwrap_or_else(|error| panic!("{}: {error}", code.page()))
}

/// The code block under a heading, checked with the settings that its first line names: ```` ```yaml engine=0.8.1 ````.
fn check_block(page: &str, heading: &str) -> Option<Checked> {
    let (_, section) = page.split_once(&format!("\n## {heading}\n"))?;
    let (_, block) = section.split_once("```")?;
    let (info, block) = block.split_once('\n')?;
    let (text, _) = block.split_once("```")?;
    let mut info = info.split(' ');
    let syntax = info.next()?;
    let mut settings = CheckSettings::default();
    for setting in info {
        match setting.split_once('=') {
            Some(("engine", level)) => settings.engine = Some(level.parse().expect("a level")),
            _ => panic!("unknown setting {setting}"),
        }
    }
    Some(check(&Sources::one(format!("flows/example.{syntax}"), text), &settings))
}

#[test]
fn every_code_has_a_page_with_its_title() {
    for code in Code::ALL {
        let page = page(*code);
        let expected = format!("# {code}: {}\n\n", code.title());
        assert!(page.starts_with(&expected), "{} does not begin with {expected:?}", code.page());
        if !Code::FINDINGS.contains(code) {
            continue;
        }
        let severity = &page[expected.len()..];
        assert!(severity.to_lowercase().starts_with(code.severity().as_str()), "{}", code.page());
        assert!(page.contains("\n## Why\n"), "{}", code.page());
    }
    // That every page has a code is tested with the codes of errors, in `cli_docs`.
}

#[test]
fn examples_have_their_finding_and_their_fixes_have_none() {
    for code in Code::FINDINGS {
        let page = page(*code);
        let Some(example) = check_block(&page, "Example") else { continue };
        let found: BTreeSet<_> = example.findings.iter().map(|finding| finding.code).collect();
        assert_eq!(found, BTreeSet::from([*code]), "{}: {:#?}", code.page(), example.findings);
        let fixed = check_block(&page, "Fix").unwrap_or_else(|| panic!("{} does not say how to fix it", code.page()));
        assert_eq!(fixed.findings, [], "{}", code.page());
        assert!(!fixed.catalog.is_empty(), "{}", code.page());
    }
}

#[test]
fn every_code_is_triggered_by_a_test() {
    let cases = fs::read_dir(root().join("tests/cases/check")).expect("cases");
    let mut reports: String = cases
        .map(|case| fs::read_to_string(case.expect("a case").path().join("report.snap")).expect("a snapshot"))
        .collect();
    reports.push_str(include_str!("hostile_input.rs"));
    for code in Code::FINDINGS {
        let by_name = format!("Code::{code:?}");
        assert!(reports.contains(&format!("[{code}]")) || reports.contains(&by_name), "{code} is never triggered");
    }
}
