//! An open connection to a database, and the engine that it has.

mod error;

pub use error::{CompareError, SessionError};

use sqlx::postgres::PgConnection;

use crate::database::{DatabaseError, Target};
use crate::engine::Level;
use crate::engine::detect::{Detection, EngineState, PgmqState, detect};
use crate::engine::ownership;
use crate::introspection::{Live, LiveShape, read_snapshot};

/// An open connection to a database, and what was detected there when it was opened.
#[derive(Debug)]
pub struct Session {
    /// The database.
    pub target: Target,
    /// The connection.
    pub connection: PgConnection,
    /// The engine, its extensions and the rights of the role.
    pub detection: Detection,
    /// The database for messages: user, host and name, without the password.
    pub database: String,
}

impl Session {
    /// Connects and detects the engine. The database may have none: [`Session::level`] refuses that.
    ///
    /// # Errors
    /// If the server cannot be reached, refuses the user, or the catalog cannot be read.
    pub async fn open(target: &Target) -> Result<Self, SessionError> {
        let mut connection = target.connect().await?;
        let detection = detect(&mut connection).await?;
        Ok(Self { target: target.clone(), connection, detection, database: target.to_string() })
    }

    /// Replaces the connection, after it was lost.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses the user.
    pub async fn reconnect(&mut self) -> Result<(), DatabaseError> {
        self.connection = self.target.connect().await?;
        Ok(())
    }

    /// The level of the engine.
    ///
    /// # Errors
    /// If the database has no engine, a part of one, or no pgmq.
    pub fn level(&self) -> Result<Level, SessionError> {
        let database = || self.database.clone();
        match &self.detection.engine {
            EngineState::Present { .. } if self.detection.pgmq == PgmqState::Missing => {
                Err(SessionError::NoPgmq { database: database() })
            }
            EngineState::Present { level, .. } => Ok(*level),
            EngineState::Missing => Err(SessionError::NoEngine { database: database() }),
            EngineState::Incomplete { closest, lacks, .. } => {
                Err(SessionError::IncompleteEngine { database: database(), closest: *closest, lacks: lacks.clone() })
            }
        }
    }

    /// Refuses a database in which a role that the current role has no reason to trust owns something on which flowsmith
    /// relies. Commands that call functions of the database check this first.
    ///
    /// # Errors
    /// [`SessionError::ForeignOwner`], or if the connection fails.
    pub async fn refuse_foreign_owners(&mut self) -> Result<(), SessionError> {
        let foreign = ownership::foreign(&mut self.connection).await?;
        if foreign.is_empty() { Ok(()) } else { Err(SessionError::ForeignOwner(foreign)) }
    }

    /// The tables and columns that there are to read.
    ///
    /// # Errors
    /// As [`Session::level`].
    pub fn shape(&self) -> Result<LiveShape, SessionError> {
        Ok(LiveShape {
            conditions: self.level()?.has_conditions(),
            ledger: self.detection.has_flowsmith_schema,
            triggers: self.detection.may_read_triggers == Some(true),
        })
    }

    /// Reads the flows, the triggers and the ledger in one round trip. Writes nothing.
    ///
    /// # Errors
    /// As [`Session::level`] and [`read_snapshot`].
    pub async fn read_live(&mut self) -> Result<Live, SessionError> {
        let shape = self.shape()?;
        Ok(read_snapshot(&mut self.connection, shape).await?)
    }

    /// Whether the database has triggers that the role may not read, so that comparisons leave them out.
    pub fn hides_triggers(&self) -> bool {
        self.detection.may_read_triggers == Some(false)
    }
}
