//! Conversion of the parser's errors to findings with a suggested fix.

use saphyr_parser::ScanError;

use crate::finding::Span;
use crate::finding::{Code, Finding};

pub(super) fn finding(error: &ScanError, text: &str) -> Finding {
    let at = error.marker().index();
    let line = text.lines().nth(error.marker().line().saturating_sub(1)).unwrap_or_default();
    let span = Span::new(at, at + 1);
    let info = error.info();
    if info.contains("recursion limit") {
        return crate::source::too_deep(span);
    }
    let finding = Finding::new(Code::Syntax, span, format!("invalid YAML: {info}"));
    match advice(info, line) {
        Some(help) => finding.help(help),
        None => finding,
    }
}

fn advice(info: &str, line: &str) -> Option<&'static str> {
    let indent = &line[..line.len() - line.trim_start().len()];
    let has = |part: &str| info.contains(part);
    if indent.contains('\t') || has("tab") {
        Some("indent with spaces: YAML does not allow tabs there")
    } else if has("unknown anchor") {
        Some("define the anchor (`&name`) before the alias (`*name`), or put a string that begins with `*` in quotes")
    } else if has("mapping values are not allowed") {
        Some("put a value that contains `: ` in quotes, or correct the indentation of this line and the one before")
    } else if has("unclosed") || has("quoted scalar") {
        Some("close the bracket or the quotation mark that is open here")
    } else if has("flow") || has("bracket") {
        Some("close every `[` and `{`, and separate elements with commas")
    } else if has("simple key") || has("expected key") || has("block mapping") || has("indentation") {
        Some(
            "write `key: value`, with a space after the colon, and indent the keys of one mapping by the same number of spaces",
        )
    } else if has("cannot start any token") || has("unexpected character") || has("while scanning") {
        Some("put a value that begins with a special character in quotes")
    } else if has("document start") || has("document end") {
        Some(
            "indent the keys of one mapping by the same number of spaces, and separate several flows in a file with `---`",
        )
    } else {
        None
    }
}
