//! One migration file: `<version>_<name>.sql`.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Duration, NaiveDateTime, Utc};

use crate::sha256_hex;

/// When a migration was compiled: 14 digits, `YYYYMMDDHHMMSS` in UTC. What orders migrations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(NaiveDateTime);

impl Version {
    const FORMAT: &'static str = "%Y%m%d%H%M%S";

    /// The version of a moment, cut to the second.
    pub fn at(moment: DateTime<Utc>) -> Self {
        // Through the text: whatever is finer than a second must not make two versions of one name differ.
        moment.format(Self::FORMAT).to_string().parse().expect("a formatted timestamp parses")
    }

    /// The version of the current time.
    pub fn now() -> Self {
        Self::at(Utc::now())
    }

    /// The one a second later.
    pub fn next(self) -> Self {
        Self(self.0 + Duration::seconds(1))
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
        let wrong = || format!("`{text}` is not a migration version: 14 digits, a UTC time as YYYYMMDDHHMMSS");
        if text.len() != 14 || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(wrong());
        }
        NaiveDateTime::parse_from_str(text, Self::FORMAT).map(Self).map_err(|_| wrong())
    }
}

/// A migration: its name and its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// What orders it.
    pub version: Version,
    /// What it does, in `snake_case`.
    pub name: String,
    /// The SQL, with LF line ends.
    pub content: String,
}

impl Migration {
    /// Takes a file's name and content apart; line ends become LF.
    ///
    /// # Errors
    /// Where the name is not `<14 digits>_<name>.sql`; the text says so.
    pub fn from_file(file_name: &str, content: String) -> Result<Self, String> {
        let (version, name) = file_name
            .strip_suffix(".sql")
            .and_then(|stem| stem.split_once('_'))
            .ok_or_else(|| format!("`{file_name}` is not a migration's name: <YYYYMMDDHHMMSS>_<name>.sql"))?;
        let content = if content.contains('\r') { content.replace("\r\n", "\n") } else { content };
        Ok(Self { version: version.parse()?, name: name.to_owned(), content })
    }

    /// `<version>_<name>`.
    pub fn id(&self) -> String {
        format!("{}_{}", self.version, self.name)
    }

    /// The name of its file.
    pub fn file_name(&self) -> String {
        format!("{}.sql", self.id())
    }

    /// SHA-256 of the content, as the ledger keeps it.
    pub fn checksum(&self) -> String {
        sha256_hex(self.content.as_bytes())
    }
}
