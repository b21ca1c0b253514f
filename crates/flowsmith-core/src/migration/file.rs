//! Migration files: `<version>_<name>.sql`.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike as _, Duration, NaiveDateTime, Utc};

use crate::{clock, sha256_hex};

/// The version of a migration, which determines its order: the UTC time of its compilation as `YYYYMMDDHHMMSS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(NaiveDateTime);

impl Version {
    const FORMAT: &'static str = "%Y%m%d%H%M%S";

    /// The version for a time, truncated to seconds.
    pub fn at(moment: DateTime<Utc>) -> Self {
        // Only these years have four digits. The last one is left for the versions that follow this one.
        let digits = DateTime::UNIX_EPOCH.with_year(0).zip(DateTime::UNIX_EPOCH.with_year(9999));
        let moment = digits.map_or(moment, |(first, last)| moment.clamp(first, last - Duration::seconds(1)));
        // Formatting and parsing drops fractions of a second, which would make versions with equal texts differ.
        moment.format(Self::FORMAT).to_string().parse().expect("a formatted timestamp parses")
    }

    /// The version of the current time.
    pub fn now() -> Self {
        Self::at(clock::now())
    }

    /// The version one second later; the same one if it is the last of all.
    pub fn next(self) -> Self {
        let next = self.0 + Duration::seconds(1);
        if next.year() > 9999 { self } else { Self(next) }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format(Self::FORMAT))
    }
}

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("invalid migration version `{text}`: expected a UTC time as YYYYMMDDHHMMSS");
        if text.len() != 14 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        NaiveDateTime::parse_from_str(text, Self::FORMAT).map(Self).map_err(|_| wrong())
    }
}

/// A migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// The version.
    pub version: Version,
    /// The name in `snake_case`, such as `add_order`.
    pub name: String,
    /// The SQL.
    pub content: String,
}

impl Migration {
    /// Creates a migration from the name and content of its file.
    ///
    /// # Errors
    /// A message if the name is not `<version>_<name>.sql`.
    pub fn from_file(file_name: &str, content: String) -> Result<Self, String> {
        let (version, name) = file_name
            .strip_suffix(".sql")
            .and_then(|stem| stem.split_once('_'))
            .ok_or_else(|| "invalid migration file name: expected <YYYYMMDDHHMMSS>_<name>.sql".to_owned())?;
        Ok(Self { version: version.parse()?, name: name.to_owned(), content })
    }

    /// The identifier in messages: `<version>_<name>`.
    pub fn id(&self) -> String {
        format!("{}_{}", self.version, self.name)
    }

    /// The file name: `<version>_<name>.sql`.
    pub fn file_name(&self) -> String {
        format!("{}.sql", self.id())
    }

    /// The SHA-256 of the content in hexadecimal, as stored in the ledger.
    pub fn checksum(&self) -> String {
        sha256_hex(self.content.as_bytes())
    }
}
