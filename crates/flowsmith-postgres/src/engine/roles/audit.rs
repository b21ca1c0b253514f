//! Compares the privileges of the roles in a database with the expected ones.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, Row};

use super::{QUEUE_TABLES, Right, Role, is_flowsmiths, rights};
use crate::database::transaction::{Opening, send};
use crate::database::{DatabaseError, Failure};

/// The differences for the roles of one prefix. Both lists are empty if the privileges are those of `install --grants`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RoleAudit {
    /// The prefix of the role names.
    pub prefix: String,
    /// Privileges that a role lacks.
    pub missing: Vec<String>,
    /// Unexpected privileges on flowsmith's own objects.
    pub extra: Vec<String>,
}

/// Audits every set of roles that `install --grants` created in this database.
///
/// # Errors
/// If the connection fails or the current role may not read the flows.
pub async fn audit(connection: &mut PgConnection) -> Result<Vec<RoleAudit>, DatabaseError> {
    let rows = send(connection, Opening::snapshot(), include_str!("granted.sql")).await?;
    let mut prefixes: BTreeMap<String, BTreeSet<Privilege>> = BTreeMap::new();
    let mut queues: BTreeSet<QueueTable> = BTreeSet::new();
    for row in rows {
        let object: String = row.try_get("object")?;
        if let Some(columns) = row.try_get::<Option<Vec<String>>, _>("columns")? {
            queues.insert(QueueTable { name: object, columns });
            continue;
        }
        let right = Right { privilege: row.try_get("privilege")?, object };
        prefixes.entry(row.try_get("prefix")?).or_default().insert((row.try_get("role")?, right));
    }
    Ok(prefixes.into_iter().map(|(prefix, granted)| compare(prefix, &granted, &queues)).collect())
}

/// A role and one of its privileges.
type Privilege = (String, Right);

/// A table of a flow's queue: `table pgmq.q_order`.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct QueueTable {
    name: String,
    columns: Vec<String>,
}

/// The prefixes of roles that lack privileges. Empty if the current role may not read the privileges.
pub(crate) async fn outdated(connection: &mut PgConnection) -> Result<Vec<String>, DatabaseError> {
    match audit(connection).await {
        Ok(audits) => {
            Ok(audits.into_iter().filter(|audit| !audit.missing.is_empty()).map(|audit| audit.prefix).collect())
        }
        Err(error) if error.failure() == Failure::Permission => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn compare(prefix: String, granted: &BTreeSet<Privilege>, queues: &BTreeSet<QueueTable>) -> RoleAudit {
    let expected: BTreeSet<Privilege> = Role::ALL
        .into_iter()
        .flat_map(|role| rights(role).into_iter().map(move |right| (role.as_str().to_owned(), right)))
        .flat_map(|(role, right)| on_tables(right, queues).into_iter().map(move |right| (role.clone(), right)))
        .collect();
    let words = |(role, right): &Privilege| format!("{prefix}_{role}: {right}");
    RoleAudit {
        missing: expected.difference(granted).map(words).collect(),
        extra: granted
            .difference(&expected)
            .filter(|(_, right)| is_managed(&right.object, queues))
            .map(words)
            .collect(),
        prefix,
    }
}

/// A privilege on `queue` or `archive` as privileges on the tables of each queue; any other as it is.
fn on_tables(right: Right, queues: &BTreeSet<QueueTable>) -> Vec<Right> {
    let Some((_, prefix)) = QUEUE_TABLES.into_iter().find(|(object, _)| *object == right.object) else {
        return vec![right];
    };
    let column = right.privilege.split_once(" (").map(|(_, column)| column.trim_end_matches(')'));
    queues
        .iter()
        .filter(|table| table.name.trim_start_matches("table pgmq.").trim_start_matches('"').starts_with(prefix))
        .filter(|table| column.is_none_or(|column| table.columns.iter().any(|known| known == column)))
        .map(|table| Right { privilege: right.privilege.clone(), object: table.name.clone() })
        .collect()
}

/// Whether an object is flowsmith's own or a table of a flow's queue.
fn is_managed(object: &str, queues: &BTreeSet<QueueTable>) -> bool {
    is_flowsmiths(object) || queues.iter().any(|table| table.name == object)
}
