//! Handlers that flow files declare: `sql`, `exec` and `http`.

mod exec;
mod http;
mod json;
mod sql;

use std::sync::Arc;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::error::WorkerError;
use crate::handler::{Handler, StepHandlers};
use flowsmith_core::catalog::Flow;
use flowsmith_core::definition::reference;
use flowsmith_core::redact::Redactor;
use flowsmith_core::sql::Statement;

/// The handlers of a flow, by step. `variable` returns the value of an environment variable, which becomes a secret.
///
/// # Errors
/// If a handler is invalid, or refers to a variable that is not set.
pub(crate) fn handlers(
    flow: &Flow,
    variable: &dyn Fn(&str) -> Option<String>,
    secrets: &mut Redactor,
) -> Result<StepHandlers, WorkerError> {
    let slug = flow.id.database_slug();
    let mut handlers = StepHandlers::new();
    let mut unset = Vec::new();
    for (step, declaration) in &flow.annotations.handlers {
        let mut look_up = |name: &str| {
            let value = variable(name);
            if let Some(value) = &value {
                secrets.add_variable(name, value);
            } else {
                unset.push(format!("{slug}, step {step}: environment variable {name} is not set"));
            }
            value.unwrap_or_default()
        };
        match handler(declaration, &mut look_up) {
            Ok(handler) => handlers.push((step.clone(), handler)),
            // An unset variable may make the handler invalid, so only the variable is reported.
            Err(_) if !unset.is_empty() => {}
            Err(reason) => return Err(WorkerError::Handler { flow: slug, step: step.clone(), reason }),
        }
    }
    if unset.is_empty() { Ok(handlers) } else { Err(WorkerError::Variables { variables: unset }) }
}

fn handler(declaration: &Value, variable: &mut dyn FnMut(&str) -> String) -> Result<Arc<dyn Handler>, String> {
    if let Some(query) = declaration["sql"].as_str() {
        let statement = Statement::parse(query).map_err(|error| error.to_string())?;
        return Ok(Arc::new(sql::Sql(statement)));
    }
    match &declaration["exec"] {
        Value::String(line) => {
            let arguments = vec!["-c".to_owned(), line.clone()];
            return Ok(Arc::new(exec::Exec { program: "sh".to_owned(), arguments }));
        }
        Value::Array(words) => {
            let mut words = words.iter().filter_map(Value::as_str).map(str::to_owned);
            let program = words.next().ok_or("`exec` names no program")?;
            return Ok(Arc::new(exec::Exec { program, arguments: words.collect() }));
        }
        _ => {}
    }
    match &declaration["http"] {
        Value::String(url) => http(url, "POST", None, variable),
        Value::Object(request) => {
            let url = request.get("url").and_then(Value::as_str).ok_or("`http` has no `url`")?;
            let method = request.get("method").and_then(Value::as_str).unwrap_or("POST");
            http(url, method, request.get("headers"), variable)
        }
        _ => Err("a handler must be one of `sql`, `exec` and `http`".to_owned()),
    }
}

fn http(
    url: &str,
    method: &str,
    headers: Option<&Value>,
    variable: &mut dyn FnMut(&str) -> String,
) -> Result<Arc<dyn Handler>, String> {
    let name = format!("{method} {url}");
    let address = reference::resolve(url, variable);
    // Every reference is resolved before anything can fail, so that all unset variables are reported.
    let headers: Vec<(&String, String)> = headers
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| (key, reference::resolve(value.as_str().unwrap_or_default(), variable)))
        .collect();
    // Errors do not repeat the resolved values, which may be secrets.
    let uri = url::Url::parse(&address).ok().and_then(|address| address.as_str().parse().ok());
    let uri = uri.ok_or_else(|| format!("{url} is not a valid HTTP URL after its references are resolved"))?;
    let method = method.parse().map_err(|_| format!("{method} is not an HTTP method"))?;
    let mut map = HeaderMap::new();
    for (key, value) in headers {
        let key: HeaderName = key.parse().map_err(|_| format!("{key} is not a header name"))?;
        let mut value = HeaderValue::from_str(&value)
            .map_err(|_| format!("the header {key} has an invalid value, for example with a line break"))?;
        value.set_sensitive(true);
        map.insert(key, value);
    }
    Ok(Arc::new(http::Http { method, uri, headers: map, name }))
}
