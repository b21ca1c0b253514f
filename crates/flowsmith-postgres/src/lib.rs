//! flowsmith on PostgreSQL: introspection, the engine, the ledger, and the use cases of a live database: plan, apply, drift, pull,
//! retire, and starting and operating runs.
//!
//! Each use case is one function that takes a [`Session`] and returns a finished value:
//!
//! ```no_run
//! use flowsmith_core::project::Project;
//! use flowsmith_postgres::{Session, Target, plan};
//!
//! # async fn example(project: Project) -> Result<(), Box<dyn std::error::Error>> {
//! let target: Target = "postgres://localhost/shop".parse()?;
//! let mut session = Session::open(&target).await?;
//! let planned = plan(&mut session, &project).await?;
//! for change in &planned.plan.changes {
//!     println!("{:?} with {} hazards", change.change, change.hazards.len());
//! }
//! # Ok(())
//! # }
//! ```

pub mod apply;
pub mod bench;
pub mod compile;
pub mod database;
pub mod deploy;
pub mod drift;
pub mod engine;
pub mod introspection;
pub mod ledger;
pub mod plan;
pub mod pull;
pub mod retire;
pub mod runs;
pub mod session;
pub mod status;

pub use apply::{ApplyError, ApplySettings, apply};
pub use database::{DatabaseError, Target};
pub use deploy::deploy;
pub use plan::{Plan, plan};
pub use session::Session;
pub use status::read_status;
