//! Parsing of TOML.

use toml::Spanned;
use toml::de::{DeInteger, DeString, DeTable, DeValue};

use super::{Key, MAX_DEPTH, Node, Value, inexact_number, nul_in_text, number, too_deep};
use crate::finding::Span;
use crate::finding::{Code, Finding, Findings};

/// The maximum number of syntax errors reported for a file. Later ones are mostly consequences of the first.
const MAX_ERRORS: usize = 20;

/// Parses the single document of a text. Returns no document if there is a syntax error, because the parts that it hides would
/// be reported as missing.
pub(super) fn parse(text: &str, findings: &mut Findings) -> Vec<Node> {
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in errors.iter().take(MAX_ERRORS) {
        let span = error.span().map_or_else(|| Span::new(0, 1), |range| Span::new(range.start, range.end));
        findings.push(syntax(error.message().trim(), text, span));
    }
    if !errors.is_empty() {
        return Vec::new();
    }
    let span = span_of(&table);
    let mut reader = Reader { findings, is_too_deep: false };
    let entries = reader.entries(table.into_inner(), 1);
    if reader.is_too_deep || entries.is_empty() {
        return Vec::new();
    }
    vec![Node { span, value: Value::Map(entries) }]
}

fn syntax(message: &str, text: &str, span: Span) -> Finding {
    if message.contains("recursion limit") {
        return too_deep(span);
    }
    if message.contains("duplicate key") {
        let key = text.get(span.start as usize..span.end as usize).unwrap_or_default();
        return Finding::new(Code::DuplicateKey, span, format!("duplicate key `{key}`"))
            .label("duplicate of an earlier key")
            .help("remove or rename one of the two keys");
    }
    let finding = Finding::new(Code::Syntax, span, format!("invalid TOML: {message}"));
    if message.contains("newline") || message.contains("string") || message.contains("quote") {
        finding.help("put the string in quotes: `key = \"value\"`")
    } else {
        finding.help("write one `key = value` per line, below a `[table]` header")
    }
}

fn span_of<T>(spanned: &Spanned<T>) -> Span {
    let range = spanned.span();
    Span::new(range.start, range.end)
}

struct Reader<'f> {
    findings: &'f mut Findings,
    is_too_deep: bool,
}

impl Reader<'_> {
    /// The parser sorts keys by name, so the order of the file is restored from their spans.
    fn entries(&mut self, table: DeTable<'_>, depth: usize) -> Vec<(Key, Node)> {
        let mut entries: Vec<_> = table
            .into_iter()
            .map(|(name, value)| {
                let span = span_of(&name);
                let name = self.text(name.into_inner(), span);
                (Key { span, name }, self.node(value, depth))
            })
            .collect();
        entries.sort_by_key(|(key, _)| key.span.start);
        entries
    }

    fn node(&mut self, value: Spanned<DeValue<'_>>, depth: usize) -> Node {
        let span = span_of(&value);
        if depth > MAX_DEPTH {
            if !self.is_too_deep {
                self.findings.push(too_deep(span));
            }
            self.is_too_deep = true;
            return Node { span, value: Value::Null };
        }
        let value = match value.into_inner() {
            DeValue::String(text) => Value::String(self.text(text, span)),
            DeValue::Boolean(value) => Value::Bool(value),
            DeValue::Integer(integer) => self.integer(&integer, span),
            DeValue::Float(float) => match number::decimal(float.as_str()) {
                Some(value) => value,
                None => self.inexact(float.as_str(), span),
            },
            DeValue::Datetime(_) => {
                let finding = Finding::new(Code::DateTime, span, "TOML dates and times are not supported")
                    .label("JSON has no such type")
                    .help("put the value in quotes to make it a string");
                self.findings.push(finding);
                Value::Refused
            }
            DeValue::Array(items) => Value::List(items.into_iter().map(|item| self.node(item, depth + 1)).collect()),
            DeValue::Table(table) => Value::Map(self.entries(table, depth + 1)),
        };
        Node { span, value }
    }

    fn text(&mut self, text: DeString<'_>, span: Span) -> String {
        if text.contains('\0') {
            self.findings.push(nul_in_text(span));
        }
        text.into_owned()
    }

    fn integer(&mut self, integer: &DeInteger<'_>, span: Span) -> Value {
        match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(value) => Value::Int(value),
            Err(_) => self.inexact(integer.as_str(), span),
        }
    }

    fn inexact(&mut self, text: &str, span: Span) -> Value {
        self.findings.push(inexact_number(text, span));
        Value::Refused
    }
}
