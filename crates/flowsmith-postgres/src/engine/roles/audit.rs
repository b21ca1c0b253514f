//! Compares the privileges of the roles in a database with the expected ones.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, Row};

use super::{Right, Role, is_ours, rights};
use crate::database::{DatabaseError, Failure};

/// The differences for the three roles of one prefix. Both lists are empty if the privileges are those of `install --grants`.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    let rows = sqlx::raw_sql(include_str!("granted.sql")).fetch_all(connection).await?;
    let mut granted: BTreeMap<String, BTreeSet<(String, Right)>> = BTreeMap::new();
    for row in rows {
        let right = Right { privilege: row.try_get(2)?, object: row.try_get(3)? };
        granted.entry(row.try_get(0)?).or_default().insert((row.try_get(1)?, right));
    }
    Ok(granted.into_iter().map(|(prefix, granted)| compare(prefix, &granted)).collect())
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

fn compare(prefix: String, granted: &BTreeSet<(String, Right)>) -> RoleAudit {
    let meant: BTreeSet<(String, Right)> = Role::ALL
        .into_iter()
        .flat_map(|role| rights(role).into_iter().map(move |right| (role.as_str().to_owned(), right)))
        .collect();
    let words = |(role, right): &(String, Right)| format!("{prefix}_{role}: {right}");
    let (lacking, granted): (Vec<_>, Vec<_>) =
        granted.iter().cloned().partition(|(_, right)| right.privilege == "LACKING");
    let granted: BTreeSet<(String, Right)> = granted.into_iter().collect();
    let queues = lacking.iter().map(|(role, right)| format!("{prefix}_{role}: the use of {}", right.object));
    RoleAudit {
        missing: meant.difference(&granted).map(words).chain(queues).collect(),
        extra: granted.difference(&meant).filter(|(_, right)| is_ours(&right.object)).map(words).collect(),
        prefix,
    }
}
