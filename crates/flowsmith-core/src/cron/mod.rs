//! Schedules as pg_cron reads them: five fields, `@daily` and the like, or `N seconds`.

mod times;

use thiserror::Error;

/// Why a text is no schedule; the help says what to write.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct CronError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

fn wrong<T>(message: String, help: impl Into<String>) -> Result<T, CronError> {
    Err(CronError { message, help: help.into() })
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// Every so many seconds.
    Seconds(u8),
    /// By the clock and the calendar.
    Calendar(Calendar),
}

/// A schedule by the clock and the calendar: what each of its fields names, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    /// Bit n = minute n.
    pub minutes: u64,
    /// Bit n = hour n.
    pub hours: u64,
    /// Bit n = day n of the month; bit 0 = its last day.
    pub days: u64,
    /// Bit n = month n.
    pub months: u64,
    /// Bit n = n days after Sunday; 7 is Sunday too.
    pub weekdays: u64,
    /// Whether the days of the month are left open, so that those of the week decide.
    pub any_day: bool,
    /// Whether the days of the week are left open, so that those of the month decide.
    pub any_weekday: bool,
}

impl Schedule {
    /// Whether a day ever comes that it names: 30 February does not.
    pub fn fires(&self) -> bool {
        const LONGEST: [u64; 12] = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
        match *self {
            Self::Seconds(_) => true,
            // A list of weekdays adds to the days of the month, and every week has all weekdays.
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

/// Reads a schedule.
///
/// # Errors
/// Where pg_cron would refuse the text, or silently take it for something else.
pub fn parse(text: &str) -> Result<Schedule, CronError> {
    let text = text.trim();
    if text.starts_with('@') {
        return match NICKNAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
            Some((_, meaning)) => parse(meaning),
            None => wrong(
                format!("`{text}` is not a schedule"),
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
            format!("a schedule has five fields, but `{text}` has {}", parts.len()),
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

/// The same schedule in small letters with single spaces: one text for all ways to space it.
pub fn normalized(text: &str) -> String {
    text.split_ascii_whitespace().map(str::to_ascii_lowercase).collect::<Vec<_>>().join(" ")
}

fn field_count_help(count: usize) -> &'static str {
    match count {
        6 | 7 => {
            "leave the seconds (and the year) out: minute, hour, day of the month, month, day of the week; below a minute, write `30 seconds`"
        }
        _ => {
            "write minute, hour, day of the month, month and day of the week, such as `0 2 * * *`; or `@daily`, or `30 seconds`"
        }
    }
}

fn seconds(number: &str, unit: &str) -> Result<Schedule, CronError> {
    match number.parse::<u8>() {
        Ok(number @ 1..=59) if unit.eq_ignore_ascii_case("seconds") => Ok(Schedule::Seconds(number)),
        Ok(number @ 1..=59) => {
            wrong(format!("`{unit}` is not a unit that pg_cron knows"), format!("write `{number} seconds`"))
        }
        _ => wrong(
            format!("`{number} {unit}` is not a schedule"),
            "write from `1 seconds` to `59 seconds`; for a minute and more, use the five fields, such as `*/5 * * * *`",
        ),
    }
}

/// The values that a field names, one bit each.
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
                    format!("`{step}` is not a step for the {name}"),
                    format!("write a step from 1 to {most}, such as `*/5`"),
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
                    format!("the {name} `{part}` has a step but no range: pg_cron would take it for `{span}`"),
                    format!("write `{span}-{most}/{}`", step.unwrap_or(1)),
                );
            }
            (only, only)
        }
    };
    if from > to {
        return wrong(
            format!("the {name} `{span}` runs backwards"),
            format!("write two ranges: `{from}-{most},{least}-{to}`"),
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
                format!(", or from `{first}` to `{last}`")
            } else {
                String::new()
            };
            wrong(
                format!("`{text}` is not a {name}"),
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
    fn what_pg_cron_refuses_or_misreads_is_refused() {
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
    fn days_that_never_come_are_seen() {
        for text in ["0 0 30 2 *", "0 0 31 2,4,6,9,11 *", "0 0 30-31 feb *", "0 0 31 4 */2"] {
            assert!(parse(text).is_ok_and(|schedule| !schedule.fires()), "{text}");
        }
    }
}
