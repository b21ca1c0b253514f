//! Rules for attempts and delays that are in range but probably not intended.

use crate::catalog::FlowOptions;
use crate::definition::{FlowFile, Options, StepDefinition};
use crate::finding::FieldPath;
use crate::finding::{Code, Finding, Findings};

const WEEK: i64 = 7 * 24 * 60 * 60;

pub(super) fn check(flow: &FlowFile, findings: &mut Findings) {
    let inherited = Options {
        max_attempts: flow.defaults.max_attempts.or(Some(FlowOptions::DEFAULT.max_attempts)),
        base_delay: flow.defaults.base_delay.or(Some(FlowOptions::DEFAULT.base_delay)),
        timeout: None,
    };
    retries(None, flow.defaults, inherited, findings);
    for step in &flow.steps {
        retries(Some(step), step.options, inherited, findings);
    }
}

/// Checks the options written at one place. Inherited options are checked where they are written.
fn retries(step: Option<&StepDefinition>, written: Options, inherited: Options, findings: &mut Findings) {
    let path = || step.map_or_else(|| FieldPath::root().key("defaults"), super::step_path);
    let what = || step.map_or_else(|| "the flow".to_owned(), |step| format!("the step `{}`", step.slug));
    if written.max_attempts == Some(0) {
        let finding = Finding::new(
            Code::ZeroAttempts,
            path().key("max_attempts"),
            format!("{} has 0 attempts, which the engine treats as 1", what()),
        )
        .label("every task is attempted once");
        findings.push(finding.help("write 1 for a single attempt; to run nothing, remove the step"));
    }
    if written.max_attempts.is_none() && written.base_delay.is_none() {
        return;
    }
    let attempts = written.max_attempts.or(inherited.max_attempts).unwrap_or(1);
    let base = written.base_delay.or(inherited.base_delay).unwrap_or(0);
    let Some(last) = last_delay(attempts, base).filter(|delay| *delay > WEEK) else { return };
    let key = if written.max_attempts.is_some() { "max_attempts" } else { "base_delay" };
    let message = format!("{} waits {} before its last retry", what(), spell(last));
    let finding = Finding::new(Code::LongRetry, path().key(key), message)
        .label(format!("{base} s, doubled {} times", attempts - 1));
    findings.push(match most_attempts(base) {
        Some(most) => {
            finding.help(format!("with a base delay of {base} s, write {most} attempts or fewer to stay within a week"))
        }
        None => finding.help("reduce `base_delay`"),
    });
}

/// The delay before the last retry in seconds, `base * 2^(attempts - 1)`; `None` if there is no retry or no delay.
fn last_delay(attempts: i32, base: i32) -> Option<i64> {
    let doublings = u32::try_from(attempts - 1).ok().filter(|doublings| *doublings > 0)?;
    if base == 0 {
        return None;
    }
    Some(
        1_i64.checked_shl(doublings.min(62)).and_then(|factor| factor.checked_mul(i64::from(base))).unwrap_or(i64::MAX),
    )
}

fn most_attempts(base: i32) -> Option<i32> {
    (2..64).rev().find(|attempts| last_delay(*attempts, base).is_none_or(|delay| delay <= WEEK))
}

fn spell(seconds: i64) -> String {
    const YEAR: i64 = 365 * 24 * 60 * 60;
    if seconds > i64::from(i32::MAX) {
        "more than 68 years".to_owned()
    } else if seconds >= YEAR {
        format!("about {} years", seconds / YEAR)
    } else {
        format!("about {} days", seconds / (24 * 60 * 60))
    }
}
