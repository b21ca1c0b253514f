//! Rendering of a plan as SQL, with `templates/migration.sql`. The whole file is a function of the plan.

use std::sync::LazyLock;

use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use super::Migration;
use super::plan::{Action, MigrationPlan, PlannedChange};
use crate::catalog::FlowId;
use crate::diff::{Class, DELETED, altered, created};
use crate::sql::quote;

/// The longest line of the header. The plan has the values that are cut off.
const LINE: usize = 120;

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut templates = Environment::new();
    templates.set_undefined_behavior(UndefinedBehavior::Strict);
    templates.set_auto_escape_callback(|_| AutoEscape::None);
    templates
        .add_template("migration", include_str!("../../templates/migration.sql"))
        .expect("the template in the binary is well-formed, as the tests render it");
    templates
});

#[derive(Serialize)]
struct MigrationContext<'a> {
    header: Vec<String>,
    plan: String,
    plan_tag: String,
    body_tag: String,
    /// Whether the plan's engine level has conditions.
    has_conditions: bool,
    drops: bool,
    resets: bool,
    creates: bool,
    tunes: bool,
    syncs_triggers: bool,
    id: &'a str,
}

/// Renders a plan.
///
/// # Errors
/// A message if the differences of a change name something that its definition does not have.
pub(super) fn render(plan: &MigrationPlan<'_>) -> Result<Migration, String> {
    let text = plan.to_text();
    let id = format!("{}_{}", plan.version, plan.name);
    let any = |has: fn(&PlannedChange<'_>) -> bool| plan.changes().any(|(_, change)| has(change));
    let context = MigrationContext {
        header: header(plan)?,
        // Every value in the body is in the plan, so that a tag that is not in the plan cannot be closed by a value.
        plan_tag: quote::dollar_tag("plan", std::iter::once(text.as_str())),
        body_tag: quote::dollar_tag("flowsmith", std::iter::once(text.as_str())),
        has_conditions: plan.engine.has_conditions(),
        drops: any(|change| change.action == Action::Drop),
        resets: any(|change| change.is_replacement()),
        creates: any(|change| change.is_created()),
        tunes: any(|change| change.is_tuned()),
        syncs_triggers: any(|change| change.touches_triggers()),
        plan: text,
        id: &quote::comment(&id),
    };
    let content = TEMPLATES
        .get_template("migration")
        .and_then(|template| template.render(minijinja::value::Serde(&context)))
        .expect("every field that the template reads is in the context, as the tests render them all");
    Ok(Migration { version: plan.version, name: plan.name.clone().into_owned(), content: content + "\n" })
}

/// The lines for people: each change with its class and its file, then the project, the environment and the engine level.
fn header(plan: &MigrationPlan<'_>) -> Result<Vec<String>, String> {
    let mut lines = Vec::new();
    for (flow, change) in plan.changes() {
        describe(&FlowId::new(&*flow.flow, change.version), change, &mut lines)?;
    }
    let environment = plan.environment.as_ref().map(|name| format!(", environment {name}")).unwrap_or_default();
    lines.push(String::new());
    lines.push(format!("Project {}{environment}; requires engine level {} or later.", plan.project, plan.engine));
    Ok(lines.into_iter().map(|line| comment_line(&line)).collect())
}

fn describe(id: &FlowId, change: &PlannedChange<'_>, lines: &mut Vec<String>) -> Result<(), String> {
    let deltas = change.deltas()?;
    let definition = change.definition.as_ref();
    let triggers = definition.map_or(&[][..], |definition| definition.triggers());
    let (sign, summary) = match change.action {
        Action::Create => {
            let steps = definition.map_or(0, |definition| definition.step_slugs().count());
            ('+', created(id.version, steps, triggers.len()))
        }
        Action::Alter | Action::State => ('~', altered(&deltas)),
        Action::Drop => ('-', DELETED.to_owned()),
    };
    let file = change.file.as_ref().map(|file| format!("  ({file})")).unwrap_or_default();
    lines.push(format!("{sign} {id}  {summary}  [{}]{file}", change.class.as_str()));
    if change.action == Action::Create {
        lines.extend(triggers.iter().map(|trigger| format!("    trigger {}: {}", trigger.name, trigger.what())));
    } else if deltas.len() > 1 {
        lines.extend(deltas.iter().map(|delta| format!("    {delta}")));
    }
    if change.class == Class::Replace {
        lines.push("    refused by the database if the flow has any runs".to_owned());
    }
    Ok(())
}

/// A line of the header, in ASCII unless a value is not, and cut to a readable length.
fn comment_line(line: &str) -> String {
    let line = quote::comment(&line.replace('→', "->"));
    let most = LINE - "-- ".len();
    if line.chars().count() <= most {
        return line;
    }
    line.chars().take(most - 3).chain("...".chars()).collect()
}
