//! The facts of the system catalog that define each engine level, and their comparison with a database.

use std::collections::BTreeSet;

use super::Level;

/// One line about the system catalog, in the format of `detect.sql`: `column runs.input jsonb`, `function is_local()`,
/// `result set_vt_batch setof pgmq.message_record`.
pub type Fact = String;

const FACTS: &str = include_str!("facts.txt");

/// The difference between the facts of a database and those of a level.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Comparison {
    /// The level.
    pub level: Level,
    /// Facts of the level that the database lacks.
    pub missing: Vec<Fact>,
    /// Facts of the database that the level does not have.
    pub extra: Vec<Fact>,
}

/// The facts of a level, in the order of `facts.txt`.
pub(crate) fn of_level(level: Level) -> impl Iterator<Item = &'static str> {
    FACTS
        .lines()
        .filter_map(parse)
        .filter(move |known| known.from <= level && known.until.is_none_or(|end| level < end))
        .map(|known| known.fact)
}

/// Compares the facts of a database with one level.
pub fn compare(level: Level, live: &BTreeSet<Fact>) -> Comparison {
    let known: BTreeSet<&str> = of_level(level).collect();
    Comparison {
        level,
        missing: known.iter().filter(|fact| !live.contains(**fact)).map(ToString::to_string).collect(),
        extra: live.iter().filter(|fact| !known.contains(fact.as_str())).cloned().collect(),
    }
}

/// The level that matches a database best: the highest complete one, otherwise the one with the fewest missing facts.
pub fn closest(live: &BTreeSet<Fact>) -> Comparison {
    Level::ALL
        .into_iter()
        .rev()
        .map(|level| compare(level, live))
        .min_by_key(|comparison| comparison.missing.len())
        .expect("there are levels")
}

struct Known {
    from: Level,
    until: Option<Level>,
    fact: &'static str,
}

/// Parses one line of `facts.txt`; none for a comment or an empty line.
fn parse(line: &'static str) -> Option<Known> {
    let (levels, fact) = line.split_once(' ').filter(|(levels, _)| *levels != "#")?;
    let level = |text: &str| text.parse().expect("facts.txt names known levels only");
    let (from, until) = match levels.split_once("..") {
        Some((from, until)) => (level(from), Some(level(until))),
        None => (level(levels), None),
    };
    Some(Known { from, until, fact: fact.trim_start() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(level: Level) -> BTreeSet<Fact> {
        of_level(level).map(str::to_owned).collect()
    }

    #[test]
    fn every_level_is_told_from_every_other() {
        for level in Level::ALL {
            let found = closest(&facts(level));
            assert_eq!((found.level, found.missing, found.extra), (level, vec![], vec![]));
        }
    }

    #[test]
    fn a_level_with_a_fact_taken_away_is_still_the_closest() {
        for level in Level::ALL {
            let mut live = facts(level);
            live.remove("column runs.input jsonb");
            let found = closest(&live);
            assert_eq!((found.level, found.missing), (level, vec!["column runs.input jsonb".to_owned()]));
        }
    }

    #[test]
    fn every_line_of_the_data_file_is_a_column_a_function_or_a_result() {
        for fact in FACTS.lines().filter_map(parse).map(|known| known.fact) {
            assert!(["column ", "function ", "result "].iter().any(|kind| fact.starts_with(kind)), "{fact}");
        }
    }
}
