//! The known levels as facts of the catalog, and how a database's facts compare with them.

use std::collections::BTreeSet;

use super::Level;

/// A fact of the catalog in one line, as `detect.sql` words it: `column runs.input jsonb`, `function is_local()`,
/// `result set_vt_batch setof pgmq.message_record`.
pub type Fact = String;

const FACTS: &str = include_str!("facts.txt");

/// How a database's facts compare with a level's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The level compared with.
    pub level: Level,
    /// What the level has and the database does not.
    pub missing: Vec<Fact>,
    /// What the database has and the level does not say.
    pub extra: Vec<Fact>,
}

/// What a level has, in the order of the data file.
pub fn of_level(level: Level) -> impl Iterator<Item = &'static str> {
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

/// The level whose facts a database has: the highest of which nothing is missing, else the one of which least is.
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

/// One line of the data file; none for a comment or an empty line.
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
