//! The error for an unknown flow, shared by all commands.

use std::borrow::Cow;

use crate::words::suggest;

/// No flow has the given name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no flow `{name}` in {place}")]
pub struct UnknownFlow {
    /// The given name.
    name: String,
    /// The place that was searched.
    place: Cow<'static, str>,
    /// The help text, usually a suggestion.
    help: String,
}

impl UnknownFlow {
    /// The place that most commands search.
    pub const DATABASE: &str = "the database";

    /// `known` lists the existing flow versions, each as name and version.
    pub fn new<'a>(name: &str, place: &'static str, known: impl Iterator<Item = (&'a str, u32)>) -> Self {
        let known: Vec<(&str, u32)> = known.collect();
        let (flow, version) = name.split_once('@').unwrap_or((name, ""));
        let versions: Vec<String> =
            known.iter().filter(|(of, _)| *of == flow).map(|(of, version)| format!("{of}@{version}")).collect();
        let help = if known.is_empty() {
            match place {
                Self::DATABASE => "run `flowsmith apply`: the database has no flows".to_owned(),
                _ => format!("there are no flows in {place}"),
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

    /// Adds the address of the database without its password. Has no effect if another place was searched.
    #[must_use]
    pub fn in_database(self, database: &str) -> Self {
        if self.place == Self::DATABASE {
            Self { place: format!("{} {database}", Self::DATABASE).into(), ..self }
        } else {
            self
        }
    }

    /// The error for a role that may start flows by name but may not list them.
    pub fn unseen(name: &str) -> Self {
        let help = match name.split_once('@') {
            Some((flow, _)) => {
                format!(
                    "use a role that may read definitions to name a version, or run `flowsmith start {flow}` to start the current one"
                )
            }
            None => "use the name in the flow file; this role may not list the flows".to_owned(),
        };
        Self { name: name.to_owned(), place: Self::DATABASE.into(), help }
    }

    /// The help text.
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
