//! Rules for handlers.

use crate::definition::{FlowFile, Handler, Request, StepDefinition, reference};
use crate::finding::{Code, FieldPath, Finding, Findings};
use crate::sql::Statement;
use crate::words;

/// The parameters of a query.
const PARAMETERS: [&str; 4] = ["input", "run_id", "task_index", "attempt"];

/// The first words of statements that can return a value.
const VERBS: [&str; 9] = ["select", "with", "values", "table", "insert", "update", "delete", "merge", "call"];

pub(super) fn check(flow: &FlowFile, findings: &mut Findings) {
    for step in &flow.steps {
        match &step.handler {
            Some(Handler::Sql(query)) => sql(step, query, findings),
            Some(Handler::Http(request)) => http(step, request, findings),
            Some(Handler::Exec(_) | Handler::Shell(_)) | None => {}
        }
    }
}

fn path(step: &StepDefinition, kind: &str) -> FieldPath {
    super::step_path(step).key("handler").key(kind)
}

fn sql(step: &StepDefinition, query: &str, findings: &mut Findings) {
    let not_a_query = |message: String, help: &str| {
        Finding::new(Code::NotAQuery, path(step, "sql"), message).label("invalid query").help(help)
    };
    let statement = match Statement::parse(query) {
        Ok(statement) => statement,
        Err(unterminated) => {
            let message = format!("the query of the step `{}` is incomplete: {unterminated}", step.slug);
            return findings.push(not_a_query(message, "add the missing terminator"));
        }
    };
    // An empty query is reported as an empty string.
    if statement.statements() > 1 {
        let message =
            format!("the query of the step `{}` must be one statement, not {}", step.slug, statement.statements());
        let help = "move the statements into a function in the database, and call it: `select shop.load(:input)`";
        findings.push(not_a_query(message, help));
    } else if statement.statements() == 1 && !VERBS.contains(&statement.verb()) {
        let message = format!("the query of the step `{}` does not return a value", step.slug);
        findings.push(not_a_query(message, "write `select …`, or `insert`, `update` or `delete` with `returning …`"));
    }
    numbered(step, &statement, findings);
    for name in statement.parameters().filter(|name| !PARAMETERS.contains(name)) {
        let message = format!("unknown parameter `:{name}` in the query of the step `{}`", step.slug);
        let help = match words::nearest(name, PARAMETERS.into_iter()) {
            Some(near) => format!("did you mean `:{near}`?"),
            None => format!(
                "write `:input ->> '{name}'` for a key of the input, or add a space after a colon that does not begin a parameter; the parameters are `:input`, `:run_id`, `:task_index` and `:attempt`"
            ),
        };
        findings.push(
            Finding::new(Code::UnknownParameter, path(step, "sql"), message).label("unknown parameter").help(help),
        );
    }
}

/// Reports parameters of prepared statements, such as `$1`, which a handler's query does not have.
fn numbered(step: &StepDefinition, statement: &Statement, findings: &mut Findings) {
    if let Some(name) = statement.numbered_parameters().next() {
        let message = format!("unknown parameter `{name}` in the query of the step `{}`", step.slug);
        let help = "write `:input` for the task's input, or `:input ->> 'id'` for a key of it; the other parameters are `:run_id`, `:task_index` and `:attempt`";
        findings.push(
            Finding::new(Code::UnknownParameter, path(step, "sql"), message).label("unknown parameter").help(help),
        );
    }
}

fn http(step: &StepDefinition, request: &Request, findings: &mut Findings) {
    let base = path(step, "http");
    let written_short = request.method.is_none() && request.headers.is_empty();
    references(if written_short { base.clone() } else { base.clone().key("url") }, &request.url, findings);
    for (name, value) in &request.headers {
        let at = base.clone().key("headers").key(name);
        if http::header::HeaderName::from_bytes(name.as_bytes()).is_err() {
            let finding =
                Finding::new(Code::InvalidHeader, at.clone().itself(), format!("invalid HTTP header name `{name}`"));
            let help = "write letters, digits and hyphens, as in `Authorization`";
            findings.push(finding.label("invalid name").help(help));
        } else if http::header::HeaderValue::from_str(value).is_err() {
            let finding =
                Finding::new(Code::InvalidHeader, at.clone(), format!("invalid value for the HTTP header `{name}`"));
            let help = "write one line of printable ASCII characters";
            findings.push(finding.label("contains a line break or another forbidden character").help(help));
        }
        references(at, value, findings);
    }
}

fn references(at: FieldPath, text: &str, findings: &mut Findings) {
    for broken in reference::broken(text) {
        let message = format!("invalid reference to an environment variable: `{broken}`");
        let help = "write `${env:NAME}`, with letters, digits and underscores in the name";
        findings.push(Finding::new(Code::BrokenReference, at.clone(), message).label("invalid reference").help(help));
    }
}
