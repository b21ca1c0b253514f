//! Compares the privileges of the roles in a database with the expected ones.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{PgConnection, Row};

use super::{Right, Role, is_flowsmiths, rights};
use crate::database::transaction::{Opening, send};
use crate::database::{DatabaseError, Failure};

/// The differences for the three roles of one prefix. Both lists are empty if the privileges are those of `install --grants`.
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

/// What the roles of one prefix have, each with the name of the role.
#[derive(Default)]
struct Found {
    granted: BTreeSet<(String, Right)>,
    /// Queue tables on which a worker lacks privileges.
    lacking: Vec<(String, String)>,
}

/// Audits every set of roles that `install --grants` created in this database.
///
/// # Errors
/// If the connection fails or the current role may not read the flows.
pub async fn audit(connection: &mut PgConnection) -> Result<Vec<RoleAudit>, DatabaseError> {
    let rows = send(connection, Opening::snapshot(), include_str!("granted.sql")).await?;
    let mut found: BTreeMap<String, Found> = BTreeMap::new();
    for row in rows {
        let found = found.entry(row.try_get("prefix")?).or_default();
        let (role, object): (String, String) = (row.try_get("role")?, row.try_get("object")?);
        if row.try_get("is_granted")? {
            found.granted.insert((role, Right { privilege: row.try_get("privilege")?, object }));
        } else {
            found.lacking.push((role, object));
        }
    }
    Ok(found.into_iter().map(|(prefix, found)| compare(prefix, found)).collect())
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

fn compare(prefix: String, Found { granted, lacking }: Found) -> RoleAudit {
    let expected: BTreeSet<(String, Right)> = Role::ALL
        .into_iter()
        .flat_map(|role| rights(role).into_iter().map(move |right| (role.as_str().to_owned(), right)))
        .collect();
    let words = |(role, right): &(String, Right)| format!("{prefix}_{role}: {right}");
    let queues = lacking.iter().map(|(role, object)| format!("{prefix}_{role}: the use of {object}"));
    RoleAudit {
        missing: expected.difference(&granted).map(words).chain(queues).collect(),
        extra: granted.difference(&expected).filter(|(_, right)| is_flowsmiths(&right.object)).map(words).collect(),
        prefix,
    }
}
