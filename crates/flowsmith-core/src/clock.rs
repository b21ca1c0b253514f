//! The time of the system's clock, which may be wrong.

use std::time::SystemTime;

use chrono::{DateTime, Utc};

/// The current time. Unlike [`Utc::now`], it does not panic if the clock shows a time before 1970.
pub fn now() -> DateTime<Utc> {
    DateTime::from(SystemTime::now())
}
