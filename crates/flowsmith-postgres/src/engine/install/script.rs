//! The installation as one SQL script, for `install`, psql and other migration tools.

use minijinja::value::Serde;
use serde::Serialize;

use super::InputStyle;
use crate::database::LOCK_KEY;
use crate::engine::TEMPLATES;
use crate::engine::scripts::{ENGINE, LEDGER, Script};
use flowsmith_core::sql::quote;

/// The name of the pg_cron job that recovers stalled tasks; pgflow's own engine uses the same name.
const RECOVERY_JOB: &str = "pgflow_requeue_stalled_tasks";

/// Everything that `install` runs except pgmq, as one SQL script. Safe to run again.
pub fn install_script(input_style: InputStyle) -> String {
    script_of(ENGINE, LEDGER, input_style)
}

/// The install script with other versions of the engine and the ledger, for tests of upgrades.
#[doc(hidden)]
pub fn script_of(engine: &[Script], ledger: &[Script], input_style: InputStyle) -> String {
    let scripts = || ledger.iter().chain(engine).map(|script| script.sql);
    let context = ScriptContext {
        tool_version: env!("CARGO_PKG_VERSION"),
        lock_key: LOCK_KEY,
        input_style: input_style.as_str(),
        recovery_job: RECOVERY_JOB,
        outer: quote::dollar_tag("install", scripts()),
        inner: quote::dollar_tag("script", scripts()),
        ledger: rendered(ledger),
        engine: rendered(engine),
    };
    TEMPLATES.render("install.sql", Serde(context))
}

/// The context of the template.
#[derive(Serialize)]
struct ScriptContext {
    tool_version: &'static str,
    lock_key: i64,
    input_style: &'static str,
    recovery_job: &'static str,
    outer: String,
    inner: String,
    ledger: Vec<Rendered>,
    engine: Vec<Rendered>,
}

/// A script in the context of the template.
#[derive(Serialize)]
struct Rendered {
    version: i32,
    name: &'static str,
    sql: &'static str,
    checksum: String,
}

fn rendered(scripts: &[Script]) -> Vec<Rendered> {
    scripts
        .iter()
        .map(|script| Rendered {
            version: script.version,
            name: script.name,
            sql: script.sql,
            checksum: script.checksum(),
        })
        .collect()
}
