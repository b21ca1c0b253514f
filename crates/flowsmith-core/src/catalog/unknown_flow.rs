//! A flow that was named and is not there: one answer, whoever is asked.

use std::borrow::Cow;

use crate::words::suggest;

/// No flow has the name that was given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no flow `{name}` in {place}")]
pub struct UnknownFlow {
    /// As it was given.
    name: String,
    /// Where it was looked for.
    place: Cow<'static, str>,
    /// What was probably meant.
    help: String,
}

impl UnknownFlow {
    /// Where most commands look.
    pub const DATABASE: &str = "the database";

    /// `known`: the flow versions that there are, each as its flow's name and its version.
    pub fn new<'a>(name: &str, place: &'static str, known: impl Iterator<Item = (&'a str, u32)>) -> Self {
        let known: Vec<(&str, u32)> = known.collect();
        let (flow, version) = name.split_once('@').unwrap_or((name, ""));
        let versions: Vec<String> =
            known.iter().filter(|(of, _)| *of == flow).map(|(of, version)| format!("{of}@{version}")).collect();
        let help = if known.is_empty() {
            match place {
                Self::DATABASE => "it has none; `flowsmith apply` brings those of your migrations".to_owned(),
                _ => "there is none at all".to_owned(),
            }
        } else if versions.is_empty() || version.is_empty() {
            let mut names: Vec<&str> = known.iter().map(|(of, _)| *of).collect();
            names.sort_unstable();
            names.dedup();
            suggest(flow, names.into_iter())
        } else {
            suggest(name, versions.iter().map(String::as_str))
        };
        Self { name: name.to_owned(), place: place.into(), help }
    }

    /// Which database it is not in, without its password. Says nothing of other places.
    #[must_use]
    pub fn in_database(self, database: &str) -> Self {
        if self.place == Self::DATABASE {
            Self { place: format!("{} {database}", Self::DATABASE).into(), ..self }
        } else {
            self
        }
    }

    /// One that a role names which may start flows, by their names, and not read which there are.
    pub fn unseen(name: &str) -> Self {
        let help = match name.split_once('@') {
            Some((flow, _)) => {
                format!(
                    "versions are for roles that may read definitions; `flowsmith start {flow}` starts the current one"
                )
            }
            None => "this role may not see which flows there are: name it as its file names it".to_owned(),
        };
        Self { name: name.to_owned(), place: Self::DATABASE.into(), help }
    }

    /// What to do about it.
    pub fn help(&self) -> String {
        self.help.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_what_was_probably_meant() {
        let known = [("order", 1), ("order", 2), ("signup", 1)];
        let help = |name| UnknownFlow::new(name, UnknownFlow::DATABASE, known.into_iter()).help();
        assert_eq!(help("ordr"), "did you mean `order`?");
        assert_eq!(help("order@7"), "did you mean `order@2`?");
        assert_eq!(help("zzz"), "write one of `order` or `signup`");
        let none = UnknownFlow::new("order", UnknownFlow::DATABASE, std::iter::empty());
        assert_eq!(none.to_string(), "there is no flow `order` in the database");
        assert!(none.help().contains("flowsmith apply"));
        let here = none.in_database("me@localhost:5432/shop").to_string();
        assert_eq!(here, "there is no flow `order` in the database me@localhost:5432/shop");
        let files = UnknownFlow::new("order", "the flow files", std::iter::empty()).in_database("x").to_string();
        assert_eq!(files, "there is no flow `order` in the flow files");
    }
}
