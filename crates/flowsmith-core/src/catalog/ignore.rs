//! Patterns for flows in the database that flowsmith ignores.

use std::fmt;

/// The slug patterns of `ignore` in `flowsmith.toml`, in which `*` stands for any sequence of characters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ignore(Vec<String>);

impl Ignore {
    /// Creates a list of patterns such as `legacy_*`.
    pub fn new(patterns: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self(patterns.into_iter().map(Into::into).collect())
    }

    /// Whether a pattern matches the whole slug.
    pub fn matches(&self, database_slug: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, database_slug))
    }
}

impl fmt::Display for Ignore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|start| text.strip_prefix(start)) else { return false };
    let Some(end) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(place) => rest = &rest[place + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::Ignore;

    #[test]
    fn star_matches_any_characters() {
        let ignore = Ignore::new(["legacy_*", "a*b*c", "exact"]);
        for slug in ["legacy_", "legacy_x", "abc", "axbxc", "abbc", "exact"] {
            assert!(ignore.matches(slug), "{slug}");
        }
        for slug in ["legacy", "xlegacy_", "ac", "abcx", "exactly", "exac"] {
            assert!(!ignore.matches(slug), "{slug}");
        }
    }
}
