//! Ids of runs and unique prefixes of ids.

use std::fmt;
use std::str::FromStr;

use minijinja::context;
use serde::Deserialize;
use sqlx::postgres::PgConnection;

use super::{RunsError, query};

/// The shortest displayed prefix of an id: the part before its first hyphen.
const SHORTEST: usize = 8;

/// A prefix of the id of a run, or the whole id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunPrefix {
    /// 1 to 32 lower-case hexadecimal digits.
    digits: String,
}

impl RunPrefix {
    /// The id, if this is a whole one.
    pub fn whole(&self) -> Option<String> {
        (self.digits.len() == 32).then(|| hyphenated(&self.digits))
    }

    /// Finds the id of the only run with this prefix.
    ///
    /// # Errors
    /// If no run or several runs have it, or the database reports an error.
    pub async fn resolve(&self, connection: &mut PgConnection) -> Result<String, RunsError> {
        #[derive(Deserialize)]
        struct Found {
            run_id: String,
        }
        let bound = |filler: char| hyphenated(&format!("{}{}", self.digits, filler.to_string().repeat(32)));
        let context = context! { lowest => bound('0'), highest => bound('f') };
        let found: Vec<Found> = query::read(connection, "run_id.sql", context).await?;
        match found.as_slice() {
            [] => Err(RunsError::NoRun { prefix: self.clone(), database: None }),
            [only] => Ok(only.run_id.clone()),
            several => Err(RunsError::AmbiguousRun {
                prefix: self.clone(),
                runs: several.iter().map(|found| found.run_id.clone()).collect(),
            }),
        }
    }
}

/// The shortest length, at least 8, at which the prefixes of these ids are unique among the runs of the database.
///
/// # Errors
/// If the connection fails or the role may not read runs.
pub async fn short_id_length(connection: &mut PgConnection, run_ids: &[String]) -> Result<usize, RunsError> {
    #[derive(Deserialize)]
    struct Neighbours {
        run_id: String,
        before: Option<String>,
        behind: Option<String>,
    }
    let context = context! { run_ids => run_ids.to_vec() };
    let found: Vec<Neighbours> = query::read(connection, "short_ids.sql", context).await?;
    let needed = found.iter().flat_map(|Neighbours { run_id, before, behind }| {
        [before, behind].into_iter().flatten().map(|other| common_prefix(run_id, other) + 1)
    });
    Ok(needed.max().unwrap_or(0).max(SHORTEST))
}

/// The length of the common prefix of two texts, in characters.
fn common_prefix(one: &str, other: &str) -> usize {
    one.chars().zip(other.chars()).take_while(|(a, b)| a == b).count()
}

/// The first 32 digits in the format of a UUID.
fn hyphenated(digits: &str) -> String {
    [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &digits[part]).join("-")
}

impl FromStr for RunPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits: String = text.chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
        if (1..=32).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self { digits })
        } else {
            Err("a run's id has 32 hexadecimal digits, as `flowsmith runs` lists it; its beginning is enough"
                .to_owned())
        }
    }
}

impl fmt::Display for RunPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hyphens = [8, 12, 16, 20];
        for (place, digit) in self.digits.chars().enumerate() {
            if hyphens.contains(&place) {
                f.write_str("-")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_is_hexadecimal_with_or_without_hyphens() {
        let id = "0F8FAD5B-d9cb-469f-a165-70867728950e";
        let whole: RunPrefix = id.parse().unwrap();
        assert_eq!(whole.whole(), Some(id.to_lowercase()));
        assert_eq!(whole.to_string(), id.to_lowercase());
        let part: RunPrefix = "0f8fad5bd9".parse().unwrap();
        assert_eq!((part.whole(), part.to_string().as_str()), (None, "0f8fad5b-d9"));
        for wrong in ["", "-", "xyz", "0f8fad5b-d9cb-469f-a165-70867728950e0"] {
            assert!(wrong.parse::<RunPrefix>().is_err(), "{wrong}");
        }
    }
}
