//! The times at which a schedule fires, in UTC, with the semantics of pg_cron.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, Timelike, Utc};

use crate::cron::{Calendar, Schedule};

/// The search range in days. Every schedule that fires at all fires within it: 29 February falls on each weekday within 40
/// years.
const HORIZON: u64 = 41 * 366;
const MINUTES_OF_DAY: u32 = 24 * 60;

impl Schedule {
    /// The first time after `moment`; `None` if the schedule never fires. An interval of seconds fires at its multiples since
    /// 1970-01-01 00:00:00.
    pub fn next_after(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Seconds(seconds) => {
                let seconds = i64::from(*seconds);
                DateTime::from_timestamp((moment.timestamp().div_euclid(seconds) + 1) * seconds, 0)
            }
            Self::Calendar(calendar) => {
                let from = moment.checked_add_signed(TimeDelta::minutes(1))?;
                let minute = |day: u64| if day == 0 { minute_of_day(from) } else { 0 };
                (0..HORIZON).find_map(|day| {
                    let date = from.date_naive().checked_add_days(Days::new(day))?;
                    calendar.minutes_of(date)?.find(|candidate| *candidate >= minute(day)).and_then(|at| time(date, at))
                })
            }
        }
    }

    /// The last time at or before `moment`; `None` if the schedule never fires.
    pub fn latest_until(&self, moment: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Seconds(seconds) => {
                let seconds = i64::from(*seconds);
                DateTime::from_timestamp(moment.timestamp().div_euclid(seconds) * seconds, 0)
            }
            Self::Calendar(calendar) => {
                let minute = |day: u64| if day == 0 { minute_of_day(moment) } else { MINUTES_OF_DAY };
                (0..HORIZON).find_map(|day| {
                    let date = moment.date_naive().checked_sub_days(Days::new(day))?;
                    calendar
                        .minutes_of(date)?
                        .rfind(|candidate| *candidate <= minute(day))
                        .and_then(|at| time(date, at))
                })
            }
        }
    }
}

impl Calendar {
    /// The minutes of a day at which the schedule fires; `None` if it does not fire on that day.
    fn minutes_of(&self, date: NaiveDate) -> Option<impl DoubleEndedIterator<Item = u32>> {
        let (minutes, hours) = (self.minutes, self.hours);
        let at = move |minute: &u32| has(hours, minute / 60) && has(minutes, minute % 60);
        self.names(date).then(|| (0..MINUTES_OF_DAY).filter(at))
    }

    /// Whether the schedule fires on a day. If both the day of the month and the day of the week are restricted, either of them
    /// has to match. A field that begins with `*` is not a restriction in this sense, and both have to match.
    fn names(&self, date: NaiveDate) -> bool {
        let is_last = date.succ_opt().is_none_or(|next| next.day() == 1);
        let by_day = has(self.days, date.day()) || is_last && has(self.days, 0);
        let weekday = date.weekday().num_days_from_sunday();
        let by_weekday = has(self.weekdays, weekday) || weekday == 0 && has(self.weekdays, 7);
        let named = if self.any_day || self.any_weekday { by_day && by_weekday } else { by_day || by_weekday };
        has(self.months, date.month()) && named
    }
}

fn has(bits: u64, bit: u32) -> bool {
    bits & (1 << bit) != 0
}

fn minute_of_day(moment: DateTime<Utc>) -> u32 {
    moment.hour() * 60 + moment.minute()
}

fn time(date: NaiveDate, minute: u32) -> Option<DateTime<Utc>> {
    Some(date.and_time(NaiveTime::from_hms_opt(minute / 60, minute % 60, 0)?).and_utc())
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Utc};

    use crate::cron::parse;

    fn at(text: &str) -> DateTime<Utc> {
        format!("{}Z", text.replace(' ', "T")).parse().expect("a time")
    }

    #[test]
    fn times_match_the_calendar() {
        for (schedule, after, next) in [
            ("* * * * *", "2026-11-21 10:00:00", "2026-11-21 10:01:00"),
            ("* * * * *", "2026-11-21 10:00:59.999", "2026-11-21 10:01:00"),
            ("0 2 * * *", "2026-11-21 02:00:00", "2026-11-22 02:00:00"),
            ("0 2 * * *", "2026-12-31 23:59:59", "2027-01-01 02:00:00"),
            ("59 23 31 12 *", "2026-12-31 23:59:00", "2027-12-31 23:59:00"),
            ("*/15 9-17 * * mon-fri", "2026-11-20 17:45:00", "2026-11-23 09:00:00"),
            ("0 0 29 2 *", "2026-01-01 00:00:00", "2028-02-29 00:00:00"),
            ("0 0 $ * *", "2027-02-01 00:00:00", "2027-02-28 00:00:00"),
            // If both fields are restricted, either matches. If one begins with `*`, both have to match.
            ("0 0 13 * fri", "2026-11-09 00:00:00", "2026-11-13 00:00:00"),
            ("0 0 13 * fri", "2026-11-13 00:00:00", "2026-11-20 00:00:00"),
            ("0 0 */2 * sun", "2026-11-21 00:00:00", "2026-11-29 00:00:00"),
            ("0 0 * * 7", "2026-11-21 00:00:00", "2026-11-22 00:00:00"),
            ("@monthly", "2026-11-21 00:00:00", "2026-12-01 00:00:00"),
            ("10 seconds", "2026-11-21 10:00:10", "2026-11-21 10:00:20"),
            ("7 seconds", "1970-01-01 00:00:08", "1970-01-01 00:00:14"),
        ] {
            let parsed = parse(schedule).expect("a schedule");
            assert_eq!(parsed.next_after(at(after)), Some(at(next)), "{schedule} after {after}");
            assert_eq!(parsed.latest_until(at(next)), Some(at(next)), "{schedule} at {next}");
            assert!(
                parsed.latest_until(at(after)).is_some_and(|latest| latest <= at(after)),
                "{schedule} until {after}"
            );
        }
        assert_eq!(parse("0 0 30 2 *").expect("a schedule").next_after(at("2026-01-01 00:00:00")), None);
        assert_eq!(parse("0 0 30 2 *").expect("a schedule").latest_until(at("2026-01-01 00:00:00")), None);
    }

    /// Iterating with `next_after` and with `latest_until` gives the same times.
    #[test]
    fn both_directions_give_the_same_times() {
        for schedule in ["*/7 3,15 1-7 */2 tue", "5 0 31 * *", "0 12 $ feb-apr *", "30 6 */10 * 1-5", "13 seconds"] {
            let parsed = parse(schedule).expect("a schedule");
            let mut time = at("2026-01-01 00:00:00");
            for _ in 0..300 {
                let next = parsed.next_after(time).expect("fires");
                assert!(next > time);
                let just_before = next - chrono::TimeDelta::milliseconds(1);
                let latest = parsed.latest_until(just_before).expect("has fired");
                assert!(
                    latest <= time || latest < next && parsed.next_after(latest) == Some(next),
                    "{schedule}: {next}"
                );
                assert_eq!(parsed.next_after(latest), Some(next), "{schedule}");
                time = next;
            }
        }
    }
}
