//! The flow versions of a database, by every name that people know them by.

use minijinja::context;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::postgres::PgConnection;

use super::{Engine, OperateError, query};
use flowsmith_core::catalog::State;
use flowsmith_core::catalog::UnknownFlow;

/// A flow version of the database.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlowVersion {
    /// What the engine calls it, which is also its queue's name.
    pub slug: String,
    /// What the flow files call it; where flowsmith has not recorded it, the slug.
    pub flow: String,
    /// Its version; where flowsmith has not recorded it, 1.
    pub version: u32,
    /// Where it stands in its life.
    pub state: State,
    /// Since when nobody may start its tasks, RFC 3339; none where it is not paused.
    pub paused_at: Option<String>,
    /// Who has paused it.
    pub paused_by: Option<String>,
    /// Whether its queue is there.
    pub has_queue: bool,
    /// The JSON Schema that its file declares for the input.
    #[serde(skip_serializing)]
    pub input: Option<Value>,
}

impl FlowVersion {
    /// The current version of a flow, for a role that may start it and not read definitions.
    pub fn unread(name: &str) -> Self {
        Self {
            slug: name.to_owned(),
            flow: name.to_owned(),
            version: 1,
            state: State::Current,
            paused_at: None,
            paused_by: None,
            has_queue: true,
            input: None,
        }
    }

    /// `order@2`.
    pub fn id(&self) -> String {
        format!("{}@{}", self.flow, self.version)
    }

    /// The table of its queue, without its schema.
    pub(super) fn queue_table(&self) -> String {
        format!("q_{}", self.slug.to_lowercase())
    }
}

/// Every flow version of a database, by flow and version.
#[derive(Debug, Clone, Default)]
pub struct Flows {
    versions: Vec<FlowVersion>,
    /// Which database they are of, where errors are to say so.
    database: Option<String>,
}

impl Flows {
    /// Reads them.
    ///
    /// # Errors
    /// Where the connection fails, or the role may not read definitions.
    pub async fn read(connection: &mut PgConnection, engine: Engine) -> Result<Self, OperateError> {
        let context = context! { engine => engine.context() };
        let versions = query::read(connection, include_str!("flows.sql"), &context).await?;
        Ok(Self { versions, database: None })
    }

    /// The same, whose errors name the database; it must not have its password.
    #[must_use]
    pub fn of_database(self, database: &str) -> Self {
        Self { database: Some(database.to_owned()), ..self }
    }

    /// All of them.
    pub fn all(&self) -> &[FlowVersion] {
        &self.versions
    }

    /// The version with this slug.
    pub fn by_slug(&self, slug: &str) -> Option<&FlowVersion> {
        self.versions.iter().find(|version| version.slug == slug)
    }

    /// The versions that a name means: `order` every version of the flow, `order@1` and `order_v2` one.
    ///
    /// # Errors
    /// Where there is no such flow; the error says what was probably meant.
    pub fn named(&self, name: &str) -> Result<Vec<&FlowVersion>, OperateError> {
        let with = |is_meant: &dyn Fn(&&FlowVersion) -> bool| self.versions.iter().filter(is_meant).collect::<Vec<_>>();
        let of_flow = with(&|version| version.flow == name);
        let found = if of_flow.is_empty() {
            with(&|version| version.slug == name || name.contains('@') && version.id() == name)
        } else {
            of_flow
        };
        if found.is_empty() { Err(self.unknown(name)) } else { Ok(found) }
    }

    /// The slugs of the versions that a name means.
    ///
    /// # Errors
    /// If there is no such flow.
    pub fn slugs_of(&self, name: &str) -> Result<Vec<String>, OperateError> {
        Ok(self.named(name)?.into_iter().map(|flow| flow.slug.clone()).collect())
    }

    /// The versions that a name means; all versions without a name.
    ///
    /// # Errors
    /// If there is no such flow.
    pub fn named_or_all(&self, name: Option<&str>) -> Result<Vec<&FlowVersion>, OperateError> {
        name.map_or_else(|| Ok(self.versions.iter().collect()), |name| self.named(name))
    }

    /// The version that a run is started of: the current one of a flow, or the one that is named.
    ///
    /// # Errors
    /// Where there is no such flow, or no version of it is current.
    pub fn to_start(&self, name: &str) -> Result<&FlowVersion, OperateError> {
        let named = self.named(name)?;
        let exact = |version: &FlowVersion| version.id() == name || version.flow != name;
        let found =
            named.iter().find(|version| exact(version) || matches!(version.state, State::Current | State::Unmanaged));
        found.copied().ok_or_else(|| OperateError::NotCurrent {
            flow: name.to_owned(),
            versions: named.iter().map(|version| (version.id(), version.state)).collect(),
        })
    }

    fn unknown(&self, name: &str) -> OperateError {
        let known = self.versions.iter().map(|version| (version.flow.as_str(), version.version));
        let unknown = UnknownFlow::new(name, UnknownFlow::DATABASE, known);
        match &self.database {
            Some(database) => unknown.in_database(database).into(),
            None => unknown.into(),
        }
    }
}
