//! Times, durations and foreign text in reports.

use flowsmith_core::visible::visible_line;
use flowsmith_postgres::runs::{Payload, WorkerHealth};

/// `850 ms`, `3.2 s`, `4m 10s`, `3h 20m`, `2d 5h`.
pub(super) fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0);
    let whole = seconds.round() as u64;
    let two = |big: u64, unit: &str, small: u64, small_unit: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit} {small}{small_unit}") }
    };
    match whole {
        _ if seconds < 0.9995 => format!("{:.0} ms", seconds * 1000.0),
        _ if seconds < 59.95 => format!("{seconds:.1} s"),
        0..3_600 => two(whole / 60, "m", whole % 60, "s"),
        3_600..86_400 => two(whole / 3_600, "h", whole % 3_600 / 60, "m"),
        _ => two(whole / 86_400, "d", whole % 86_400 / 3_600, "h"),
    }
}

/// The state of the last worker, if none is alive.
pub fn last_worker(health: Option<WorkerHealth>, heartbeat_seconds: Option<f64>) -> String {
    let (Some(health), Some(seconds)) = (health, heartbeat_seconds) else {
        return "no worker has ever registered".to_owned();
    };
    let ago = duration(seconds);
    match health {
        WorkerHealth::Stopped => format!("the last one stopped {ago} ago"),
        WorkerHealth::Deprecated => {
            format!("the last one was deprecated, and its last heartbeat was {ago} ago")
        }
        WorkerHealth::Silent | WorkerHealth::Alive => format!("the last heartbeat was {ago} ago"),
    }
}

/// `2026-11-21 09:47:42`, in UTC as in the database.
pub(super) fn time(rfc3339: &str) -> String {
    rfc3339.chars().take(19).map(|c| if c == 'T' { ' ' } else { c }).collect()
}

/// `09:47:42.123`
pub(super) fn clock(rfc3339: &str) -> String {
    let (whole, rest) = (rfc3339.get(11..19).unwrap_or_default(), rfc3339.get(19..).unwrap_or_default());
    let digits: String = rest.strip_prefix('.').unwrap_or_default().chars().take_while(char::is_ascii_digit).collect();
    format!("{whole}.{:0<3.3}", digits)
}

/// Foreign text on one line, with at most `most` characters and with every invisible character escaped.
pub(super) fn line(text: &str, most: usize) -> String {
    let text = visible_line(text);
    let mut line: String = text.chars().take(most).collect();
    if line.len() < text.len() {
        line.pop();
        line.push('…');
    }
    line
}

/// A JSON value on one line, with at most `most` characters; a shortened value is followed by its size.
pub(super) fn payload(payload: &Payload, most: Option<usize>) -> String {
    let shown = line(&payload.text, most.unwrap_or(usize::MAX));
    if payload.is_whole() && !shown.ends_with('…') { shown } else { format!("{shown} ({})", size(payload.bytes)) }
}

fn size(bytes: usize) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_as_exact_as_a_reader_needs() {
        let cases =
            [(0.0, "0 ms"), (0.85, "850 ms"), (0.9999, "1.0 s"), (59.96, "1m"), (250.4, "4m 10s"), (3_600.0, "1h")];
        for (seconds, words) in cases.into_iter().chain([(12_000.0, "3h 20m"), (190_800.0, "2d 5h")]) {
            assert_eq!(duration(seconds), words);
        }
    }

    #[test]
    fn clocks_have_milliseconds() {
        assert_eq!(clock("2026-11-21T09:47:42.1+00:00"), "09:47:42.100");
        assert_eq!(clock("2026-11-21T09:47:42+00:00"), "09:47:42.000");
        assert_eq!(clock("2026-11-21T09:47:42.123456+00:00"), "09:47:42.123");
    }

    #[test]
    fn the_text_of_others_stays_on_its_line() {
        assert_eq!(line("a\nb\u{1b}[31mc", 80), "a b\\u{1b}[31mc");
        assert_eq!(line("abcdef", 4), "abc…");
        assert_eq!(line("abcd", 4), "abcd");
    }
}
