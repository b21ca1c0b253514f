//! TOML tables into nodes.

use toml::Spanned;
use toml::de::{DeInteger, DeString, DeTable, DeValue};

use super::{Key, MAX_DEPTH, Node, Value, inexact_number, nul_in_text, number};
use crate::finding::Span;
use crate::finding::{Code, Finding, Findings};

/// The most syntax errors that are worth reading at once: those after the first few are mostly its consequences.
const MAX_ERRORS: usize = 20;

/// Reads the one document of a text. With syntax errors there is none, since what they leave out would be missed.
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
        return Finding::new(Code::DuplicateKey, span, format!("the key `{key}` is written twice"))
            .label("again here")
            .help("keep one of them: a table holds each key once");
    }
    let finding = Finding::new(Code::Syntax, span, format!("this is not valid TOML: {message}"));
    if message.contains("newline") || message.contains("string") || message.contains("quote") {
        finding.help("text stands in quotes: `key = \"value\"`")
    } else {
        finding.help("write `key = value`, one a line, under a `[table]` header")
    }
}

fn too_deep(span: Span) -> Finding {
    let message = format!("values are nested more than {MAX_DEPTH} deep");
    Finding::new(Code::TooDeep, span, message).label("one level too deep").help("flatten it")
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
    /// The parser sorts keys by name; the file's order is that of their places.
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
                let finding = Finding::new(Code::DateTime, span, "JSON has no dates and times")
                    .label("a TOML date or time")
                    .help("put it in quotes: it is text then");
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
