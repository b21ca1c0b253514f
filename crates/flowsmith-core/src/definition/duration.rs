//! Durations in flow files: whole seconds, or `90s`, `5m`, `2h`, `3d`.

use thiserror::Error;

/// The reason why a text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DurationError {
    /// The text does not begin with a whole number.
    #[error("the duration `{0}` does not begin with a whole number")]
    NoNumber(String),
    /// The unit is not s, m, h or d.
    #[error("unknown unit of time `{0}`")]
    Unit(String),
    /// The duration in seconds exceeds PostgreSQL's type `integer`.
    #[error("the duration `{0}` is longer than 2147483647 seconds")]
    TooLong(String),
}

impl DurationError {
    /// The suggested fix.
    pub fn help(&self) -> &'static str {
        match self {
            Self::NoNumber(_) | Self::Unit(_) => {
                "write whole seconds, or a whole number with a unit: 90s, 5m, 2h or 3d"
            }
            Self::TooLong(_) => "write 24855d (68 years) or less",
        }
    }
}

/// Parses a duration and returns it in seconds.
///
/// # Errors
/// If the text is not a whole number with an optional unit s, m, h or d, or exceeds PostgreSQL's type `integer`.
pub fn parse(text: &str) -> Result<i64, DurationError> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    if number.is_empty() {
        return Err(DurationError::NoNumber(text.to_owned()));
    }
    let factor = match unit.trim_start() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        other => return Err(DurationError::Unit(other.to_owned())),
    };
    let seconds = number.parse::<i64>().ok().and_then(|number| number.checked_mul(factor));
    seconds.filter(|seconds| *seconds <= i64::from(i32::MAX)).ok_or_else(|| DurationError::TooLong(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{DurationError, parse};

    #[test]
    fn number_and_unit_are_parsed() {
        assert_eq!(parse("90"), Ok(90));
        assert_eq!(parse("90s"), Ok(90));
        assert_eq!(parse("5m"), Ok(300));
        assert_eq!(parse("2 h"), Ok(7200));
        assert_eq!(parse("3d"), Ok(259_200));
        assert!(matches!(parse("soon"), Err(DurationError::NoNumber(_))));
        assert!(matches!(parse("-5s"), Err(DurationError::NoNumber(_))));
        assert_eq!(parse("5 minutes"), Err(DurationError::Unit("minutes".into())));
        assert!(matches!(parse("99999d"), Err(DurationError::TooLong(_))));
        assert!(matches!(parse("99999999999999999999d"), Err(DurationError::TooLong(_))));
    }
}
