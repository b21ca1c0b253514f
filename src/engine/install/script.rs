//! The install as one script, for psql or another migration tool.

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use super::InputStyle;
use crate::database::LOCK_KEY;
use crate::engine::scripts::{ENGINE, LEDGER, Script};
use crate::migration::quote;

/// The name of pg_cron's job that recovers stalled tasks: the one that pgflow's own engine gives it.
const RECOVERY_JOB: &str = "pgflow_requeue_stalled_tasks";

/// Everything that `install` runs besides pgmq, as SQL for psql or another migration tool. Safe to run again.
pub fn install_script(input_style: InputStyle) -> String {
    install_script_of(LEDGER, ENGINE, input_style)
}

/// The same for other scripts than those of this program: tests install versions that no release has yet.
#[doc(hidden)]
pub fn install_script_of(ledger: &[Script], engine: &[Script], input_style: InputStyle) -> String {
    let scripts = || ledger.iter().chain(engine).map(|script| script.sql);
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
                ledger: rendered(ledger),
                engine: rendered(engine),
            }),
        )
        .expect("the template in the binary is well-formed, as the tests render it")
}

/// What the template is rendered with.
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

/// A script as the template sees it.
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
