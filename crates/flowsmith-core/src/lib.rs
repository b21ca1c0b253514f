//! The pure part of flowsmith: flow files, findings, the check, catalogs, diffs and migrations. It does no I/O other than
//! reading and writing files, and needs no database.
//!
//! Flow files become a [`Catalog`], [`diff`] compares two of them, and [`compile`] writes the difference as SQL:
//!
//! ```
//! use flowsmith_core::{Catalog, CheckSettings, CompileSettings, Sources, check, compile};
//!
//! let sources = Sources::one("flows/order.yaml", "flow: order\nsteps: { load: {}, ship: { depends_on: [load] } }");
//! let checked = check(&sources, &CheckSettings::default());
//! assert!(!checked.has_errors());
//!
//! let recorded = Catalog::new(); // or `replay` of the migrations in the folder
//! let settings = CompileSettings::new("20260101000000".parse()?);
//! let compiled = compile(&recorded, checked.catalog, &settings)?;
//! assert!(compiled.migrations[0].content.contains("pgflow.create_flow"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod catalog;
pub mod check;
#[doc(hidden)]
pub mod clock;
pub mod config;
pub mod cron;
pub mod definition;
pub mod diagnostic;
pub mod diff;
pub mod finding;
pub mod level;
pub mod migration;
pub mod project;
#[doc(hidden)]
pub mod redact;
pub mod source;
#[doc(hidden)]
pub mod sql;
#[doc(hidden)]
pub mod visible;
#[doc(hidden)]
pub mod words;
#[doc(hidden)]
pub mod write;

pub use catalog::{Catalog, Flow, FlowId, Step, digest, sha256_hex};
pub use check::{CheckSettings, Checked, check};
pub use definition::json_schema;
pub use diagnostic::{Code, Diagnostic, Kind};
pub use diff::{Change, ChangeSet, diff};
pub use finding::Finding;
pub use level::Level;
pub use migration::{CompileSettings, Migration, compile, replay};
pub use source::Sources;
