//! The four database roles of `install --grants`, each with the least privileges for its purpose.

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
    /// Cancels, retries, pauses, resumes, prunes and recovers runs.
    Operator,
}

impl Role {
    /// All roles.
    pub const ALL: [Self; 4] = [Self::Deployer, Self::Worker, Self::Client, Self::Operator];

    /// The suffix of the role name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deployer => "deployer",
            Self::Worker => "worker",
            Self::Client => "client",
            Self::Operator => "operator",
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

/// Splits `SELECT, UPDATE (a, b)` into one privilege per column.
fn split(privileges: &str) -> Vec<String> {
    let mut rest = privileges;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let word = rest.split([',', '(']).next().unwrap_or(rest);
        rest = &rest[word.len()..];
        match rest.strip_prefix('(').and_then(|columns| columns.split_once(')')) {
            Some((columns, after)) => {
                found.extend(columns.split(", ").map(|column| format!("{} ({column})", word.trim_end())));
                rest = after;
            }
            None => found.push(word.to_owned()),
        }
        rest = rest.trim_start_matches([',', ' ']);
    }
    found
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

/// The objects that stand for the tables of every flow's queue.
const QUEUE_TABLES: [(&str, &str); 2] = [("queue", "q_"), ("archive", "a_")];

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
        queue_rights: Role::ALL.into_iter().flat_map(|role| queue_rights(prefix, role)).collect(),
        roles: Role::ALL
            .map(|role| RoleContext {
                name: prefix.name(role),
                reads_pgmq: rights(role).iter().any(|right| right.object == "table pgmq.meta"),
                rights: rights(role).into_iter().filter(|right| is_flowsmiths(&right.object)).collect(),
            })
            .to_vec(),
    };
    TEMPLATES.render("grants.sql", Serde(context))
}

/// The privileges of a role on the tables of queues.
fn queue_rights(prefix: &RolePrefix, role: Role) -> impl Iterator<Item = QueueRight> {
    let role_name = prefix.name(role);
    rights(role).into_iter().filter_map(move |right| {
        let (_, table_prefix) = QUEUE_TABLES.into_iter().find(|(object, _)| *object == right.object)?;
        let (privilege, column) = match right.privilege.split_once(" (") {
            Some((privilege, column)) => (privilege, Some(column.trim_end_matches(')').to_owned())),
            None => (right.privilege.as_str(), None),
        };
        Some(QueueRight { role: role_name.clone(), table_prefix, privilege: privilege.to_owned(), column })
    })
}

/// The context of the template.
#[derive(Serialize)]
struct GrantsContext {
    tool_version: &'static str,
    tag: String,
    queue_rights: Vec<QueueRight>,
    roles: Vec<RoleContext>,
}

/// A privilege on the queues or the archives of flows.
#[derive(Serialize, Clone)]
struct QueueRight {
    role: String,
    table_prefix: &'static str,
    privilege: String,
    column: Option<String>,
}

#[derive(Serialize, Clone)]
struct RoleContext {
    name: String,
    reads_pgmq: bool,
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
        assert_eq!(split("SELECT, INSERT (a), UPDATE (b), DELETE"), ["SELECT", "INSERT (a)", "UPDATE (b)", "DELETE"]);
    }

    #[test]
    fn hostile_prefixes_stay_names() {
        let script = grants_script(&RolePrefix::new("a\"; drop table x; --\n$grants$").expect("a prefix"));
        assert!(script.contains("to \"a\"\"; drop table x; --\n$grants$_worker\";"), "{script}");
        assert!(script.contains("do $grants1$"));
        assert!(RolePrefix::new("").is_err() && RolePrefix::new(&"a".repeat(55)).is_err());
    }
}
