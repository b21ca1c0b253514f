//! Findings as SARIF 2.1.0, for code scanners.

use serde_json::{Value, json};

use super::{Location, Report, message};
use flowsmith_core::finding::Code;
use flowsmith_core::visible::visible_json;

/// One SARIF log with one run.
pub fn sarif(report: &Report) -> String {
    let rules: Vec<_> = Code::FINDINGS.iter().map(|code| rule(*code)).collect();
    let results: Vec<_> = report
        .findings
        .iter()
        .map(|located| {
            let finding = &located.finding;
            let help = finding.help.as_ref().map(|help| format!("\n{help}")).unwrap_or_default();
            let related: Vec<_> = finding
                .related
                .iter()
                .zip(&located.related)
                .enumerate()
                .filter_map(|(id, (related, location))| {
                    let location = location.as_ref()?;
                    let mut place = place(&location.file, Some(location));
                    place["id"] = json!(id);
                    place["message"] = json!({ "text": related.label });
                    Some(place)
                })
                .collect();
            json!({
                "ruleId": finding.code.as_str(),
                "ruleIndex": Code::FINDINGS.iter().position(|code| *code == finding.code),
                "level": finding.severity.as_str(),
                "message": { "text": format!("{}{help}", message(located)) },
                "locations": [place(&finding.file, located.at.as_ref())],
                "relatedLocations": related,
            })
        })
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "flowsmith", "semanticVersion": env!("CARGO_PKG_VERSION"), "rules": rules } },
            // Columns count characters, not UTF-16 units.
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    visible_json(&format!("{log:#}\n")).into_owned()
}

fn rule(code: Code) -> Value {
    json!({
        "id": code.as_str(),
        "name": format!("{code:?}"),
        "shortDescription": { "text": code.title() },
        "help": { "text": format!("See {}.", code.page()) },
        "defaultConfiguration": { "level": code.severity().as_str() },
    })
}

fn place(file: &std::path::Path, location: Option<&Location>) -> Value {
    let mut physical = json!({ "artifactLocation": { "uri": uri(file) } });
    if let Some(at) = location {
        physical["region"] = json!({
            "startLine": at.start.line,
            "startColumn": at.start.column,
            "endLine": at.end.line,
            "endColumn": at.end.column,
        });
    }
    json!({ "physicalLocation": physical })
}

/// A relative URI reference with percent-encoded reserved characters.
fn uri(file: &std::path::Path) -> String {
    let path = file.to_string_lossy().replace('\\', "/");
    path.bytes().fold(String::with_capacity(path.len()), |mut uri, byte| {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
        uri
    })
}
