//! References to environment variables in handlers, `${env:NAME}`. They keep secrets out of flow files.

/// A part of a text.
#[derive(Debug, PartialEq, Eq)]
enum Part<'t> {
    Text(&'t str),
    Variable(&'t str),
    /// An invalid reference: text that begins with `${`.
    Broken(&'t str),
}

/// Replaces each reference with the value that `variable` returns for its name. Invalid references stay as written.
pub fn resolve(text: &str, variable: &mut dyn FnMut(&str) -> String) -> String {
    let mut resolved = String::new();
    for part in parts(text) {
        match part {
            Part::Text(text) | Part::Broken(text) => resolved.push_str(text),
            Part::Variable(name) => resolved.push_str(&variable(name)),
        }
    }
    resolved
}

/// The invalid references of a text.
pub fn broken(text: &str) -> impl Iterator<Item = &str> {
    parts(text).into_iter().filter_map(|part| match part {
        Part::Broken(text) => Some(text),
        Part::Text(_) | Part::Variable(_) => None,
    })
}

fn parts(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        parts.push(Part::Text(&rest[..at]));
        let end = rest[at..].find('}').map_or(rest.len(), |end| at + end + 1);
        let whole = &rest[at..end];
        let name = whole.strip_prefix("${env:").and_then(|inner| inner.strip_suffix('}'));
        parts.push(name.filter(|name| is_name(name)).map_or(Part::Broken(whole), Part::Variable));
        rest = &rest[end..];
    }
    parts.push(Part::Text(rest));
    parts
}

fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !name.is_empty() && name.bytes().all(is_part) && !name.starts_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_valid_references_are_resolved() {
        let mut variable = |name: &str| format!("<{name}>");
        assert_eq!(resolve("Bearer ${env:TOKEN}, ${env:_a1}", &mut variable), "Bearer <TOKEN>, <_a1>");
        assert_eq!(resolve("$TOKEN $ {env:A} ${A}", &mut variable), "$TOKEN $ {env:A} ${A}");
    }

    #[test]
    fn invalid_references_are_found() {
        let found: Vec<_> = broken("${env:A} ${A} ${env:} ${env:a-b} ${env:1} ${open").collect();
        assert_eq!(found, ["${A}", "${env:}", "${env:a-b}", "${env:1}", "${open"]);
    }
}
