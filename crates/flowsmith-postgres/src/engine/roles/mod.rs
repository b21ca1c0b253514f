//! The three database roles of `install --grants`, each with the least privileges for its purpose.

mod audit;

use minijinja::value::Serde;
use serde::Serialize;

pub(crate) use audit::outdated;
pub use audit::{RoleAudit, audit};

use crate::engine::TEMPLATES;
use flowsmith_core::sql::quote;

/// The longest prefix: PostgreSQL truncates names to 63 bytes.
const LONGEST_PREFIX: usize = 63 - "_deployer".len();

/// The purpose of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Runs `apply`, `plan`, `drift`, `status` and `pull`.
    Deployer,
    /// Claims tasks and completes or fails them.
    Worker,
    /// Starts runs and reads them.
    Client,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 3] = [Self::Deployer, Self::Worker, Self::Client];

    /// The suffix of the role name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployer => "deployer",
            Self::Worker => "worker",
            Self::Client => "client",
        }
    }
}

/// The prefix of the role names in a database, `flowsmith` by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolePrefix(String);

impl RolePrefix {
    /// Parses a prefix.
    ///
    /// # Errors
    /// If the prefix is empty or too long.
    pub fn new(prefix: &str) -> Result<Self, String> {
        match prefix.len() {
            0 => Err("it is empty".to_owned()),
            length if length > LONGEST_PREFIX => Err(format!("it is longer than {LONGEST_PREFIX} bytes")),
            _ => Ok(Self(prefix.to_owned())),
        }
    }

    /// The full name of a role.
    pub fn name(&self, role: Role) -> String {
        format!("{}_{}", self.0, role.as_str())
    }
}

impl Default for RolePrefix {
    fn default() -> Self {
        Self("flowsmith".to_owned())
    }
}

/// One privilege on one object, in the syntax of GRANT.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Right {
    /// `EXECUTE`, or `UPDATE (status)`.
    pub privilege: String,
    /// `function pgflow.start_tasks`
    pub object: String,
}

impl std::fmt::Display for Right {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} on {}", self.privilege, self.object)
    }
}

/// The lines of `rights.txt`: a role (`owner` if only the owner has the privilege) and a privilege.
fn lines() -> impl Iterator<Item = (&'static str, Right)> {
    include_str!("rights.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#')).flat_map(|line| {
        let (who, rest) = line.split_once(' ').expect("a line of rights.txt begins with a role");
        let (privileges, object) = rest.trim().split_once(" on ").expect("a line of rights.txt names an object");
        split(privileges).into_iter().map(move |privilege| (who, Right { privilege, object: object.to_owned() }))
    })
}

/// Splits `SELECT, UPDATE (a, b)` into one privilege per column; columns come last.
fn split(privileges: &str) -> Vec<String> {
    let (before, columns) = privileges.split_once(" (").unwrap_or((privileges, ""));
    let mut words: Vec<String> = before.split(", ").map(ToOwned::to_owned).collect();
    if let Some(privilege) = words.pop_if(|_| !columns.is_empty()) {
        words.extend(columns.trim_end_matches(')').split(", ").map(|column| format!("{privilege} ({column})")));
    }
    words
}

/// All privileges of a role.
pub fn rights(role: Role) -> Vec<Right> {
    lines().filter(|(who, _)| *who == role.as_str()).map(|(_, right)| right).collect()
}

/// Every function in `rights.txt`, including those that only the owner may call.
pub fn functions() -> Vec<&'static str> {
    include_str!("rights.txt")
        .lines()
        .filter_map(|line| line.split_once(" on function "))
        .map(|(_, name)| name)
        .collect()
}

/// Whether an object belongs to flowsmith, so that its privileges are managed here.
fn is_flowsmiths(object: &str) -> bool {
    let name = object.split_once(' ').map_or(object, |(_, name)| name);
    ["pgflow", "flowsmith", "flowsmith_triggers"].contains(&name.split('.').next().unwrap_or(name))
}

/// The SQL that `install --grants` runs after the install script. Safe to run again.
pub fn grants_script(prefix: &RolePrefix) -> String {
    let names: Vec<String> = Role::ALL.map(|role| prefix.name(role)).to_vec();
    let context = GrantsContext {
        tool_version: env!("CARGO_PKG_VERSION"),
        tag: quote::dollar_tag("grants", names.iter().map(String::as_str)),
        deployer: prefix.name(Role::Deployer),
        worker: prefix.name(Role::Worker),
        roles: Role::ALL
            .map(|role| RoleContext {
                name: prefix.name(role),
                rights: rights(role).into_iter().filter(|right| is_flowsmiths(&right.object)).collect(),
            })
            .to_vec(),
    };
    TEMPLATES.render("grants.sql", Serde(context))
}

/// The context of the template.
#[derive(Serialize)]
struct GrantsContext {
    tool_version: &'static str,
    tag: String,
    deployer: String,
    worker: String,
    roles: Vec<RoleContext>,
}

#[derive(Serialize, Clone)]
struct RoleContext {
    name: String,
    rights: Vec<Right>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_of_a_role_or_the_owner() {
        for (who, right) in lines() {
            assert!(who == "owner" || Role::ALL.iter().any(|role| role.as_str() == who), "{who} {right}");
        }
    }

    #[test]
    fn privileges_and_columns_are_split() {
        assert_eq!(split("SELECT, INSERT"), ["SELECT", "INSERT"]);
        assert_eq!(split("SELECT, UPDATE (a, b)"), ["SELECT", "UPDATE (a)", "UPDATE (b)"]);
    }

    #[test]
    fn hostile_prefixes_stay_names() {
        let script = grants_script(&RolePrefix::new("a\"; drop table x; --\n$grants$").expect("a prefix"));
        assert!(script.contains("to \"a\"\"; drop table x; --\n$grants$_worker\";"), "{script}");
        assert!(script.contains("do $grants1$"));
        assert!(RolePrefix::new("").is_err() && RolePrefix::new(&"a".repeat(55)).is_err());
    }
}
