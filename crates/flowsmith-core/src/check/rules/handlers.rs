//! Handlers: what can be known to be wrong before a worker runs them.

use crate::definition::{FlowFile, Handler, Request, StepDefinition, reference};
use crate::finding::{Code, FieldPath, Finding, Findings};
use crate::sql::Statement;
use crate::words;

/// What a query may refer to.
const PARAMETERS: [&str; 4] = ["input", "run_id", "task_index", "attempt"];

/// What gives a value, or could.
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
        Finding::new(Code::NotAQuery, path(step, "sql"), message).label("not one query").help(help)
    };
    let statement = match Statement::parse(query) {
        Ok(statement) => statement,
        Err(unclosed) => {
            let message = format!("the query of the step `{}` is cut off: {unclosed}", step.slug);
            return findings.push(not_a_query(message, "close it"));
        }
    };
    // What is empty has another finding.
    if statement.statements() > 1 {
        let message = format!("the handler of the step `{}` has {} statements", step.slug, statement.statements());
        let help =
            "write one query; what takes several goes into a function in the database: `select shop.load(:input)`";
        findings.push(not_a_query(message, help));
    } else if statement.statements() == 1 && !VERBS.contains(&statement.verb()) {
        let message = format!("the handler of the step `{}` is no query that gives a value", step.slug);
        findings.push(not_a_query(message, "write `select …`, or `insert`, `update` or `delete` with `returning …`"));
    }
    numbered(step, &statement, findings);
    for name in statement.parameters().filter(|name| !PARAMETERS.contains(name)) {
        let message =
            format!("the query of the step `{}` has the parameter `:{name}`, which does not exist", step.slug);
        let help = format!(
            "{}; a key of the input is `:input ->> '{name}'`, and a colon that begins no parameter needs a space behind it",
            words::suggest(name, PARAMETERS.into_iter()).trim_end_matches('?')
        );
        findings.push(
            Finding::new(Code::UnknownParameter, path(step, "sql"), message).label("unknown parameter").help(help),
        );
    }
}

/// `$1`: what a prepared statement has, and a handler's query not.
fn numbered(step: &StepDefinition, statement: &Statement, findings: &mut Findings) {
    if let Some(name) = statement.numbered_parameters().next() {
        let message = format!("the query of the step `{}` has the parameter `{name}`, which there is not", step.slug);
        let help = "write `:input`, the task's input, or a key of it: `:input ->> 'id'`; there are `:run_id`, `:task_index` and `:attempt` too";
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
                Finding::new(Code::InvalidHeader, at.clone().itself(), format!("`{name}` is not a header's name"));
            let help = "write letters, digits and hyphens, such as `Authorization`";
            findings.push(finding.label("not a header's name").help(help));
        } else if http::header::HeaderValue::from_str(value).is_err() {
            let finding = Finding::new(
                Code::InvalidHeader,
                at.clone(),
                format!("the header `{name}` has a value that no header can have"),
            );
            findings.push(finding.label("a line break or another control character").help("write it on one line"));
        }
        references(at, value, findings);
    }
}

fn references(at: FieldPath, text: &str, findings: &mut Findings) {
    for broken in reference::broken(text) {
        let message = format!("`{broken}` is not a reference to an environment variable");
        let help = "write `${env:NAME}`, with letters, digits and underscores";
        findings.push(Finding::new(Code::BrokenReference, at.clone(), message).label("not a reference").help(help));
    }
}
