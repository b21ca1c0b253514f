//! The flow versions of a database and their names.

use minijinja::context;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::postgres::PgConnection;

use super::{Engine, RunsError, query};
use flowsmith_core::catalog::State;
use flowsmith_core::catalog::UnknownFlow;

/// A flow version.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FlowVersion {
    /// The slug in the engine, which is also the name of the queue.
    pub slug: String,
    /// The name in the flow files; the slug if flowsmith has not recorded the flow.
    pub flow: String,
    /// The version; 1 if flowsmith has not recorded the flow.
    pub version: u32,
    /// The lifecycle state.
    pub state: State,
    /// The time of the pause, RFC 3339; none if the version is not paused.
    pub paused_at: Option<String>,
    /// The role that paused it.
    pub paused_by: Option<String>,
    /// Whether the queue exists.
    pub has_queue: bool,
    /// The JSON Schema of the input, if the flow file declares one.
    #[serde(skip_serializing)]
    pub input: Option<Value>,
}

impl FlowVersion {
    /// The assumed current version of a flow, for a role that may start the flow but not read definitions.
    pub fn assumed(name: &str) -> Self {
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

    /// The name with the version, such as `order@2`.
    pub fn id(&self) -> String {
        format!("{}@{}", self.flow, self.version)
    }

    /// The table of the queue in the schema `pgmq`.
    pub(super) fn queue_table(&self) -> String {
        format!("q_{}", self.slug.to_lowercase())
    }
}

/// The flow versions of a database, ordered by flow and version.
#[derive(Debug, Clone, Default)]
pub struct Flows {
    versions: Vec<FlowVersion>,
    /// The database to name in errors.
    database: Option<String>,
}

impl Flows {
    /// Reads the flow versions.
    ///
    /// # Errors
    /// If the connection fails or the role may not read definitions.
    pub async fn read(connection: &mut PgConnection, engine: Engine) -> Result<Self, RunsError> {
        let versions = query::read(connection, "flows.sql", context! { engine => engine.context() }).await?;
        Ok(Self { versions, database: None })
    }

    /// Sets the database to name in errors. The text must not contain a password.
    #[must_use]
    pub fn in_database(self, database: &str) -> Self {
        Self { database: Some(database.to_owned()), ..self }
    }

    /// All flow versions.
    pub fn all(&self) -> &[FlowVersion] {
        &self.versions
    }

    /// The version with this slug.
    pub fn by_slug(&self, slug: &str) -> Option<&FlowVersion> {
        self.versions.iter().find(|version| version.slug == slug)
    }

    /// The versions with this name: `order` stands for every version of the flow, `order@1` and `order_v2` for one.
    ///
    /// # Errors
    /// [`UnknownFlow`] with a suggestion if there is none.
    pub fn named(&self, name: &str) -> Result<Vec<&FlowVersion>, RunsError> {
        let select = |matches: &dyn Fn(&&FlowVersion) -> bool| self.versions.iter().filter(matches).collect::<Vec<_>>();
        let of_flow = select(&|version| version.flow == name);
        let found = if of_flow.is_empty() {
            select(&|version| version.slug == name || name.contains('@') && version.id() == name)
        } else {
            of_flow
        };
        if found.is_empty() { Err(self.unknown(name)) } else { Ok(found) }
    }

    /// The slugs of the versions that a name means.
    ///
    /// # Errors
    /// If there is no such flow.
    pub fn slugs_of(&self, name: &str) -> Result<Vec<String>, RunsError> {
        Ok(self.named(name)?.into_iter().map(|flow| flow.slug.clone()).collect())
    }

    /// The versions that a name means; all versions without a name.
    ///
    /// # Errors
    /// If there is no such flow.
    pub fn named_or_all(&self, name: Option<&str>) -> Result<Vec<&FlowVersion>, RunsError> {
        name.map_or_else(|| Ok(self.versions.iter().collect()), |name| self.named(name))
    }

    /// The version to start: the current version of a flow, or the named version.
    ///
    /// # Errors
    /// If there is no such flow, or no version of it is current.
    pub fn to_start(&self, name: &str) -> Result<&FlowVersion, RunsError> {
        let named = self.named(name)?;
        let is_exact = |version: &FlowVersion| version.id() == name || version.flow != name;
        let found = named
            .iter()
            .find(|version| is_exact(version) || matches!(version.state, State::Current | State::Unmanaged));
        found.copied().ok_or_else(|| RunsError::NotCurrent {
            flow: name.to_owned(),
            versions: named.iter().map(|version| (version.id(), version.state)).collect(),
        })
    }

    fn unknown(&self, name: &str) -> RunsError {
        let known = self.versions.iter().map(|version| (version.flow.as_str(), version.version));
        let unknown = UnknownFlow::new(name, UnknownFlow::DATABASE, known);
        match &self.database {
            Some(database) => unknown.in_database(database).into(),
            None => unknown.into(),
        }
    }
}
