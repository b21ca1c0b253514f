//! Schedules in the syntax of pg_cron: five fields, a name such as `@daily`, or `N seconds`.

mod times;

use thiserror::Error;

/// The reason why a text is not a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct CronError {
    /// The problem.
    pub message: String,
    /// The suggested fix.
    pub help: String,
}

fn wrong<T>(message: String, help: impl Into<String>) -> Result<T, CronError> {
    Err(CronError { message, help: help.into() })
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// An interval of 1 to 59 seconds.
    Seconds(u8),
    /// Five fields.
    Calendar(Calendar),
}

/// A schedule of five fields, each as a bit set of its values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    /// Bit n stands for minute n.
    pub minutes: u64,
    /// Bit n stands for hour n.
    pub hours: u64,
    /// Bit n stands for day n of the month, bit 0 for its last day.
    pub days: u64,
    /// Bit n stands for month n.
    pub months: u64,
    /// Bit n stands for the day n days after Sunday; bits 0 and 7 both stand for Sunday.
    pub weekdays: u64,
    /// Whether the day of the month begins with `*`, so that only the day of the week restricts the days.
    pub any_day: bool,
    /// Whether the day of the week begins with `*`, so that only the day of the month restricts the days.
    pub any_weekday: bool,
}

impl Schedule {
    /// Whether the schedule matches any date. 30 February, for example, does not exist.
    pub fn fires(&self) -> bool {
        const LONGEST: [u64; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        match *self {
            Self::Seconds(_) => true,
            // A day matches if either field does, and every week has all weekdays.
            Self::Calendar(Calendar { any_weekday: false, .. }) => true,
            Self::Calendar(Calendar { days, months, .. }) => (1..=12).any(|month: usize| {
                let in_month = (1 << (LONGEST[month - 1] + 1)) - 1;
                months & (1 << month) != 0 && days & in_month != 0
            }),
        }
    }
}

struct Field {
    name: &'static str,
    least: u8,
    most: u8,
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const FIELDS: [Field; 5] = [
    Field { name: "minute", least: 0, most: 59, names: &[] },
    Field { name: "hour", least: 0, most: 23, names: &[] },
    Field { name: "day of the month", least: 1, most: 31, names: &[] },
    Field { name: "month", least: 1, most: 12, names: MONTHS },
    Field { name: "day of the week", least: 0, most: 7, names: WEEKDAYS },
];

const NICKNAMES: &[(&str, &str)] = &[
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
    ("@monthly", "0 0 1 * *"),
    ("@weekly", "0 0 * * 0"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@hourly", "0 * * * *"),
];

/// Parses a schedule.
///
/// # Errors
/// If pg_cron rejects the text, or accepts it with another meaning.
pub fn parse(text: &str) -> Result<Schedule, CronError> {
    let text = text.trim();
    if text.starts_with('@') {
        return match NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            Some((_, meaning)) => parse(meaning),
            None => wrong(
                format!("unknown schedule name `{text}`"),
                crate::words::suggest(text, NICKNAMES.iter().map(|(name, _)| *name)),
            ),
        };
    }
    let parts: Vec<_> = text.split_ascii_whitespace().collect();
    if let [number, unit] = parts.as_slice()
        && unit.to_ascii_lowercase().starts_with("sec")
    {
        return seconds(number, unit);
    }
    let [minute, hour, day, month, weekday] = parts.as_slice() else {
        return wrong(
            format!("the schedule `{text}` must have 5 fields, not {}", parts.len()),
            field_count_help(parts.len()),
        );
    };
    Ok(Schedule::Calendar(Calendar {
        minutes: set(&FIELDS[0], minute)?,
        hours: set(&FIELDS[1], hour)?,
        days: set(&FIELDS[2], day)?,
        months: set(&FIELDS[3], month)?,
        weekdays: set(&FIELDS[4], weekday)?,
        any_day: day.starts_with('*'),
        any_weekday: weekday.starts_with('*'),
    }))
}

/// The schedule in lower case with single spaces, so that equal schedules have equal texts.
pub fn normalized(text: &str) -> String {
    text.split_ascii_whitespace().map(str::to_ascii_lowercase).collect::<Vec<_>>().join(" ")
}

fn field_count_help(count: usize) -> &'static str {
    match count {
        6 | 7 => {
            "write minute, hour, day of the month, month and day of the week, without seconds and year; for an interval below a minute, write `30 seconds`"
        }
        _ => {
            "write minute, hour, day of the month, month and day of the week, as in `0 2 * * *`; or write `@daily` or `30 seconds`"
        }
    }
}

fn seconds(number: &str, unit: &str) -> Result<Schedule, CronError> {
    match number.parse::<u8>() {
        Ok(number @ 1..=59) if unit.eq_ignore_ascii_case("seconds") => Ok(Schedule::Seconds(number)),
        Ok(number @ 1..=59) => {
            wrong(format!("unknown unit `{unit}` in the schedule"), format!("write `{number} seconds`"))
        }
        _ => wrong(
            format!("invalid interval `{number} {unit}`"),
            "write between `1 seconds` and `59 seconds`; for longer intervals, write five fields, as in `*/5 * * * *`",
        ),
    }
}

/// The values of a field, one bit each.
fn set(field: &Field, text: &str) -> Result<u64, CronError> {
    text.split(',').try_fold(0, |bits, part| Ok(bits | range(field, part)?))
}

fn range(field: &Field, part: &str) -> Result<u64, CronError> {
    let Field { name, least, most, .. } = *field;
    if part == "$" && name == "day of the month" {
        return Ok(1);
    }
    let (span, step) = match part.split_once('/') {
        Some((span, step)) => match step.parse::<u8>() {
            Ok(step) if step > 0 && step <= most => (span, Some(step)),
            _ => {
                return wrong(
                    format!("invalid step `{step}` in the {name} `{part}`"),
                    format!("write a step from 1 to {most}, as in `*/5`"),
                );
            }
        },
        None => (part, None),
    };
    let (from, to) = match span.split_once('-') {
        _ if span == "*" => (least, most),
        Some((from, to)) => (value(field, from)?, value(field, to)?),
        None => {
            let only = value(field, span)?;
            if step.is_some() {
                return wrong(
                    format!("the {name} `{part}` has a step but no range, and pg_cron would read it as `{span}`"),
                    format!("write `{span}-{most}/{}`", step.unwrap_or(1)),
                );
            }
            (only, only)
        }
    };
    if from > to {
        return wrong(
            format!("the {name} range `{span}` is reversed"),
            format!("write two ranges, as in `{from}-{most},{least}-{to}`"),
        );
    }
    Ok((from..=to).step_by(usize::from(step.unwrap_or(1))).fold(0, |bits, value| bits | 1 << value))
}

fn value(field: &Field, text: &str) -> Result<u8, CronError> {
    let Field { name, least, most, names } = *field;
    let by_name = names.iter().position(|name| name.eq_ignore_ascii_case(text));
    let number =
        by_name.and_then(|position| u8::try_from(position).ok()).map(|position| position + u8::from(least == 1));
    match number.or_else(|| text.parse().ok()) {
        Some(number) if (least..=most).contains(&number) && !text.starts_with('+') => Ok(number),
        _ => {
            let names = if let (Some(first), Some(last)) = (names.first(), names.last()) {
                format!(", a name from `{first}` to `{last}`")
            } else {
                String::new()
            };
            wrong(
                format!("`{text}` is not a valid {name}"),
                format!("write a number from {least} to {most}{names}, a range `a-b`, a list `a,b`, or `*`"),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn schedules_of_pg_cron_are_accepted() {
        for text in [
            "0 2 * * *",
            "*/5 * * * *",
            "0-30/10 9-17 * jan-mar mon-fri",
            "0 0 1,15 * *",
            "0 0 $ * *",
            "@daily",
            "@HOURLY",
            "30 seconds",
            "1 seconds",
            "0 0 29 2 *",
            "0 0 30 2 mon",
            "0 0 * * 7",
            "  0 0 * * SUN  ",
        ] {
            assert!(parse(text).is_ok_and(|schedule| schedule.fires()), "{text}");
        }
    }

    #[test]
    fn schedules_that_pg_cron_rejects_or_misreads_are_rejected() {
        for text in [
            "",
            "* * * *",
            "0 0 2 * * *",
            "60 * * * *",
            "0 24 * * *",
            "0 0 0 * *",
            "0 0 * 13 *",
            "0 0 * * 8",
            "*/0 * * * *",
            "5/10 * * * *",
            "30-10 * * * *",
            "0 0 L * *",
            "0 0 ? * *",
            "@fortnightly",
            "@reboot",
            "0 seconds",
            "60 seconds",
            "5 minutes",
            "+5 * * * *",
            "a b c d e",
            "1- * * * *",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn schedules_without_any_date_never_fire() {
        for text in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 30-31 feb *", "0 0 31 4 */2"] {
            assert!(parse(text).is_ok_and(|schedule| !schedule.fires()), "{text}");
        }
    }
}
