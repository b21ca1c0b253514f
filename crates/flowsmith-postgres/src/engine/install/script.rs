//! The installation as one SQL script, for `install`, psql and other migration tools.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use super::InputStyle;
use crate::database::LOCK_KEY;
use crate::engine::scripts::{ENGINE, LEDGER, Script};
use flowsmith_core::sql::quote;

/// The name of the pg_cron job that recovers stalled tasks; pgflow's own engine uses the same name.
const RECOVERY_JOB: &str = "pgflow_requeue_stalled_tasks";

/// Everything that `install` runs except pgmq, as one SQL script. Safe to run again.
pub fn install_script(input_style: InputStyle) -> String {
    let scripts = || LEDGER.iter().chain(ENGINE).map(|script| script.sql);
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_auto_escape_callback(|_| AutoEscape::None);
    templates.add_filter("literal", |text: &str| quote::literal(text));
    templates
        .render_str(
            include_str!("../../../templates/install.sql"),
            Serde(ScriptContext {
                tool_version: env!("CARGO_PKG_VERSION"),
                lock_key: LOCK_KEY,
                input_style: input_style.as_str(),
                recovery_job: RECOVERY_JOB,
                outer: quote::dollar_tag("install", scripts()),
                inner: quote::dollar_tag("script", scripts()),
                ledger: rendered(LEDGER),
                engine: rendered(ENGINE),
            }),
        )
        .expect("the template in the binary is well-formed, as the tests render it")
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
