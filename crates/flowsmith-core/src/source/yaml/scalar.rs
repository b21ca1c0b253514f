//! Scalars of the YAML 1.2 core schema.

use std::borrow::Cow;

use saphyr_parser::ScalarStyle;

use crate::finding::Findings;
use crate::finding::Span;
use crate::source::{Node, Value, inexact_number, nul_in_text, number};

pub(super) fn read(text: Cow<'_, str>, style: ScalarStyle, span: Span, findings: &mut Findings) -> Node {
    if text.contains('\0') {
        findings.push(nul_in_text(span));
    }
    let value =
        if style == ScalarStyle::Plain { plain(text, span, findings) } else { Value::String(text.into_owned()) };
    Node { span, value }
}

fn plain(text: Cow<'_, str>, span: Span, findings: &mut Findings) -> Value {
    // Fast path: most scalars are plain words, which the first byte distinguishes from null, booleans and numbers.
    match text.as_bytes().first() {
        None => return Value::Null,
        Some(b'0'..=b'9' | b'+' | b'-' | b'.' | b'~' | b'n' | b'N' | b't' | b'T' | b'f' | b'F') => {}
        Some(_) => return Value::String(text.into_owned()),
    }
    match text.as_ref() {
        "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => Value::Bool(true),
        "false" | "False" | "FALSE" => Value::Bool(false),
        ".nan" | ".NaN" | ".NAN" => inexact(&text, span, findings),
        infinity if is_infinity(infinity) => inexact(&text, span, findings),
        number => match read_number(number) {
            None => Value::String(text.into_owned()),
            Some(Some(value)) => value,
            Some(None) => inexact(&text, span, findings),
        },
    }
}

fn is_infinity(text: &str) -> bool {
    matches!(text.strip_prefix(['-', '+']).unwrap_or(text), ".inf" | ".Inf" | ".INF")
}

/// Returns `None` if the text is not a number, `Some(None)` if 64 bits cannot represent it exactly.
fn read_number(text: &str) -> Option<Option<Value>> {
    for (prefix, radix) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && !digits.is_empty()
            && digits.chars().all(|digit| digit.is_digit(radix))
        {
            return Some(i64::from_str_radix(digits, radix).ok().map(Value::Int));
        }
    }
    is_decimal(text).then(|| number::decimal(text))
}

/// `[-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?`
fn is_decimal(text: &str) -> bool {
    let text = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent))),
        None => (text, None),
    };
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    all_digits(whole)
        && all_digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && exponent.is_none_or(|exponent| !exponent.is_empty() && all_digits(exponent))
}

fn inexact(text: &str, span: Span, findings: &mut Findings) -> Value {
    findings.push(inexact_number(text, span));
    Value::Refused
}
