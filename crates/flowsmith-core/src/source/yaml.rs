//! Parsing of YAML: the YAML 1.2 core schema, without tags and merge keys.

mod scalar;
mod syntax;

use std::collections::{HashMap, HashSet};

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::{Key, MAX_DEPTH, Node, Value, too_deep};
use crate::finding::Span;
use crate::finding::{Code, Finding, Findings};

/// The approximate amount of memory, in bytes, that the aliases and anchors of a file may copy.
const EXPANSION_BUDGET: usize = 16 * 1024 * 1024;

/// Mappings up to this length are searched for duplicate keys linearly, longer ones with a set.
const SHORT_MAPPING: usize = 16;

/// Parses every document of a text. Stops at the first syntax error: the text after it can have several meanings.
pub(super) fn parse(text: &str, findings: &mut Findings) -> Vec<Node> {
    let mut reader = Reader { findings, stack: Vec::new(), anchors: HashMap::new(), copied: 0, documents: Vec::new() };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        match event {
            Ok((event, span)) => {
                if reader.accept(event, Span::new(span.start.index(), span.end.index())).is_err() {
                    break;
                }
            }
            Err(error) => {
                reader.findings.push(syntax::finding(&error, text));
                break;
            }
        }
    }
    reader.documents
}

/// Parsing was stopped; the reason is in the findings.
struct GiveUp;

struct Reader<'f> {
    findings: &'f mut Findings,
    stack: Vec<Frame>,
    /// The anchored nodes of the current document, with their size and depth.
    anchors: HashMap<usize, (Node, Size)>,
    /// Bytes charged against [`EXPANSION_BUDGET`].
    copied: usize,
    documents: Vec<Node>,
}

/// An open list or mapping.
struct Frame {
    start: u32,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map { entries: Vec<(Key, Node)>, key: Pending, long: HashSet<String> },
}

/// The last key of an open mapping, until its value is complete.
enum Pending {
    None,
    Key(Key),
    /// A key that was reported. Its value is dropped.
    Refused,
}

#[derive(Clone, Copy)]
struct Size {
    bytes: usize,
    depth: usize,
}

impl Size {
    fn of(node: &Node) -> Self {
        let own = size_of::<(Key, Node)>();
        match &node.value {
            Value::String(text) => Self { bytes: own + text.len(), depth: 0 },
            Value::List(items) => Self::below(own, items.iter().map(|item| (0, item))),
            Value::Map(entries) => Self::below(own, entries.iter().map(|(key, value)| (key.name.len(), value))),
            _ => Self { bytes: own, depth: 0 },
        }
    }

    fn below<'n>(own: usize, children: impl Iterator<Item = (usize, &'n Node)>) -> Self {
        children.fold(Self { bytes: own, depth: 1 }, |sum, (key, child)| {
            let child = Self::of(child);
            Self { bytes: sum.bytes + key + child.bytes, depth: sum.depth.max(child.depth + 1) }
        })
    }
}

impl Reader<'_> {
    fn accept(&mut self, event: Event<'_>, span: Span) -> Result<(), GiveUp> {
        match event {
            Event::DocumentStart(_) => self.anchors.clear(),
            Event::Scalar(text, style, anchor, tag) => {
                if let Some(tag) = tag {
                    self.refuse_tag(&tag, span);
                    return self.complete(Node { span, value: Value::Refused }, anchor);
                }
                if style == ScalarStyle::Plain && self.expects_key() {
                    self.plain_key(text.into_owned(), span);
                } else {
                    let node = scalar::read(text, style, span, self.findings);
                    self.complete(node, anchor)?;
                }
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(span, anchor, tag.as_deref(), Content::List(Vec::new()))?;
            }
            Event::MappingStart(anchor, tag) => {
                let content = Content::Map { entries: Vec::new(), key: Pending::None, long: HashSet::new() };
                self.open(span, anchor, tag.as_deref(), content)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Frame { start, anchor, content }) = self.stack.pop() {
                    let value = match content {
                        Content::List(items) => Value::List(items),
                        Content::Map { entries, .. } => Value::Map(entries),
                    };
                    self.complete(Node { span: Span { start, end: span.end }, value }, anchor)?;
                }
            }
            Event::Alias(anchor) => self.alias(anchor, span)?,
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn open(&mut self, span: Span, anchor: usize, tag: Option<&Tag>, content: Content) -> Result<(), GiveUp> {
        if let Some(tag) = tag {
            self.refuse_tag(tag, span);
        }
        if self.stack.len() >= MAX_DEPTH {
            return Err(self.too_deep(span));
        }
        self.stack.push(Frame { start: span.start, anchor, content });
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), GiveUp> {
        let Some((_, size)) = self.anchors.get(&anchor) else {
            let finding =
                Finding::new(Code::Syntax, span, "this alias refers to an anchor that is not defined before it")
                    .label("unknown anchor")
                    .help(
                        "define the anchor (`&name`) earlier in the same document, and not around the alias (`*name`)",
                    );
            self.findings.push(finding);
            return self.complete(Node { span, value: Value::Refused }, 0);
        };
        if self.stack.len() + size.depth > MAX_DEPTH {
            return Err(self.too_deep(span));
        }
        self.charge(size.bytes, span)?;
        let Some((node, _)) = self.anchors.get(&anchor) else { return Ok(()) };
        let node = Node { span, value: node.value.clone() };
        self.complete(node, 0)
    }

    fn charge(&mut self, bytes: usize, span: Span) -> Result<(), GiveUp> {
        self.copied += bytes;
        if self.copied <= EXPANSION_BUDGET {
            return Ok(());
        }
        let mebibytes = EXPANSION_BUDGET / (1024 * 1024);
        let message = format!("the aliases of this file expand to more than {mebibytes} MiB");
        let help = "write the values out, or nest fewer aliases";
        self.findings.push(Finding::new(Code::AliasBomb, span, message).label("exceeds the limit").help(help));
        Err(GiveUp)
    }

    fn too_deep(&mut self, span: Span) -> GiveUp {
        let span = Span { start: span.start, end: span.end.max(span.start + 1) };
        self.findings.push(too_deep(span));
        GiveUp
    }

    fn refuse_tag(&mut self, tag: &Tag, span: Span) {
        let prefix = if tag.is_yaml_core_schema() { "!!" } else { tag.handle.as_str() };
        let tag = format!("{prefix}{}", tag.suffix);
        let finding = Finding::new(Code::Tag, span, format!("the tag `{tag}` is not supported"))
            .label("tagged value")
            .help("remove the tag; to make the value a string, put it in quotes");
        self.findings.push(finding);
    }

    /// Whether the next node is a key of the innermost mapping.
    fn expects_key(&self) -> bool {
        matches!(self.stack.last(), Some(Frame { content: Content::Map { key: Pending::None, .. }, .. }))
    }

    /// Reads an unquoted key, which is always a string: `on`, `1` and `true` are field names like any other.
    fn plain_key(&mut self, name: String, span: Span) {
        if name == "<<" {
            let finding = Finding::new(Code::MergeKey, span, "the merge key `<<` is not supported")
                .label("not part of YAML 1.2")
                .help("write the keys out, or alias a whole value, as in `retry: *retry`");
            self.findings.push(finding);
            self.set_key(Pending::Refused);
        } else if name.is_empty() || name == "~" {
            self.refuse_key(span);
        } else {
            self.take_key(name, span);
        }
    }

    fn refuse_key(&mut self, span: Span) {
        let finding = Finding::new(Code::KeyNotText, span, "the key of a mapping must be a string")
            .label("not a string")
            .help("write a name before the `:`");
        self.findings.push(finding);
        self.set_key(Pending::Refused);
    }

    fn take_key(&mut self, name: String, span: Span) {
        let Some(Frame { content: Content::Map { entries, key, long }, .. }) = self.stack.last_mut() else { return };
        if entries.len() == SHORT_MAPPING && long.is_empty() {
            long.extend(entries.iter().map(|(key, _)| key.name.clone()));
        }
        let is_duplicate =
            if long.is_empty() { entries.iter().any(|(key, _)| key.name == name) } else { !long.insert(name.clone()) };
        if !is_duplicate {
            *key = Pending::Key(Key { span, name });
            return;
        }
        *key = Pending::Refused;
        if self.findings.is_full() {
            return;
        }
        let first = entries.iter().find(|(key, _)| key.name == name).map_or(span, |(key, _)| key.span);
        let finding = Finding::new(Code::DuplicateKey, span, format!("duplicate key `{name}`"))
            .label("duplicate")
            .related(first, "first use")
            .help("remove or rename one of the two keys");
        self.findings.push(finding);
    }

    fn set_key(&mut self, pending: Pending) {
        if let Some(Frame { content: Content::Map { key, .. }, .. }) = self.stack.last_mut() {
            *key = pending;
        }
    }

    /// Adds a complete node to the innermost list or mapping, or to the documents.
    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), GiveUp> {
        if anchor > 0 {
            let size = Size::of(&node);
            self.charge(size.bytes, node.span)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        if self.expects_key() {
            match node.value {
                Value::String(name) => self.take_key(name, node.span),
                Value::Refused => self.set_key(Pending::Refused),
                _ => self.refuse_key(node.span),
            }
            return Ok(());
        }
        match self.stack.last_mut().map(|frame| &mut frame.content) {
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map { entries, key, .. }) => {
                if let Pending::Key(key) = std::mem::replace(key, Pending::None) {
                    entries.push((key, node));
                }
            }
            // An empty document, for example after a trailing `---`, is ignored.
            None if node.value == Value::Null => {}
            None => self.documents.push(node),
        }
        Ok(())
    }
}
