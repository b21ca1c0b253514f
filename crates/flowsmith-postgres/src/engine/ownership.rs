//! Objects on which flowsmith relies and which an untrusted role owns.

use std::fmt;

use minijinja::context;
use sqlx::{PgConnection, Row};

use super::TEMPLATES;
use crate::database::DatabaseError;
use crate::database::transaction::{Opening, send};

/// The help for foreign objects. It must not advise to drop anything, because the objects may hold data.
pub const FOREIGN_OWNER_HELP: &str =
    "let an administrator change the owner, or make the current role a member of the owner if you trust it";

/// An object that belongs to a role which the current role has no reason to trust: neither a superuser, nor the owner of the
/// database, nor a role of which the current role is a member.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForeignObject {
    /// The kind and the name: `schema pgmq`, `function realtime.send(…)`.
    pub object: String,
    /// The owner.
    pub owner: String,
}

impl fmt::Display for ForeignObject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (owned by {})", self.object, self.owner)
    }
}

/// Several objects in one clause.
pub(crate) fn list(objects: &[ForeignObject]) -> String {
    const NAMED: usize = 5;
    let named = objects.iter().take(NAMED).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match objects.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// Finds objects that the current role must not adopt when it installs. Reads the catalog only and calls none of them.
///
/// # Errors
/// If the connection fails.
pub async fn foreign_to_installer(connection: &mut PgConnection) -> Result<Vec<ForeignObject>, DatabaseError> {
    read(connection, false).await
}

/// Finds objects that the current role must not use. A role that neither is a superuser nor owns the database trusts the
/// owner of the installed schemas, who granted it its privileges.
///
/// # Errors
/// If the connection fails.
pub async fn foreign(connection: &mut PgConnection) -> Result<Vec<ForeignObject>, DatabaseError> {
    read(connection, true).await
}

async fn read(connection: &mut PgConnection, trusts_installer: bool) -> Result<Vec<ForeignObject>, DatabaseError> {
    let query = TEMPLATES.render("foreign_owners.sql", context! { trusts_installer });
    let rows = send(connection, Opening::snapshot(), &query).await?;
    let object = |row: &sqlx::postgres::PgRow| {
        Ok(ForeignObject { object: row.try_get("object")?, owner: row.try_get("owner")? })
    };
    rows.iter().map(object).collect()
}
