//! Parsing of numbers without loss of precision.

use super::Value;

/// Parses a decimal number such as `12`, `-0.5` or `1e3`. Returns `None` if the text is not a number or if 64 bits cannot
/// represent it exactly.
pub(super) fn decimal(text: &str) -> Option<Value> {
    if !text.contains(['.', 'e', 'E']) {
        return text.strip_prefix('+').unwrap_or(text).parse().ok().map(Value::Int);
    }
    let float: f64 = text.parse().ok()?;
    (float.is_finite() && significant(text) == significant(&format!("{float:e}"))).then_some(Value::Float(float))
}

/// The sign, the digits without leading and trailing zeros, and the exponent of the last digit. Two texts of the same number
/// have the same result.
fn significant(text: &str) -> (bool, String, i64) {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches(['-', '+']);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let trimmed = digits.trim_end_matches('0');
    let dropped = digits.len() - trimmed.len();
    let trimmed = trimmed.trim_start_matches('0');
    if trimmed.is_empty() {
        return (false, String::new(), 0);
    }
    let places = i64::try_from(dropped).unwrap_or(i64::MAX) - i64::try_from(fraction.len()).unwrap_or(i64::MAX);
    (negative, trimmed.to_owned(), exponent.parse::<i64>().unwrap_or(i64::MAX / 2).saturating_add(places))
}

#[cfg(test)]
mod tests {
    use super::{Value, decimal};

    #[test]
    fn inexact_numbers_are_rejected() {
        assert_eq!(decimal("12"), Some(Value::Int(12)));
        assert_eq!(decimal("+12"), Some(Value::Int(12)));
        assert_eq!(decimal("9223372036854775807"), Some(Value::Int(i64::MAX)));
        assert_eq!(decimal("9223372036854775808"), None);
        for exact in ["0.1", "1.50", "100.0", "1e3", "-2.5E-3", ".5", "3.", "0.0", "-0.0", "1e0000"] {
            assert!(matches!(decimal(exact), Some(Value::Float(_))), "{exact}");
        }
        for inexact in ["0.1234567890123456789", "1e999", "1e-999", "9007199254740993.0"] {
            assert_eq!(decimal(inexact), None, "{inexact}");
        }
    }
}
