//! Handlers as flow files declare them.

mod exec;
mod http;
mod secrets;
mod sql;

use std::sync::Arc;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::builder::Builder;
use super::error::WorkerError;
use super::handler::Handle;
use flowsmith_core::catalog::Flow;
use flowsmith_core::definition::reference;
use flowsmith_core::sql::Statement;

impl Builder {
    /// Works on a flow of the files, with the handlers that it declares. `variable` gives the values of environment variables.
    ///
    /// # Errors
    /// Where a handler refers to a variable that is not set, or cannot be made.
    pub fn declared(self, flow: &Flow, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, WorkerError> {
        let slug = flow.id.database_slug();
        let mut builder = self.flow(&slug).known_as(flow.id.clone());
        let mut unset = Vec::new();
        for (step, declared) in &flow.annotations.handlers {
            let mut look_up = |name: &str| {
                let value = variable(name);
                if value.is_none() {
                    unset.push(format!("{slug}, step {step}: environment variable {name} is not set"));
                }
                value.unwrap_or_default()
            };
            match handler(declared, &mut look_up) {
                Ok(handler) => builder = builder.handler(step.clone(), handler),
                // It follows from the variable that is not set.
                Err(_) if !unset.is_empty() => {}
                Err(why) => return Err(WorkerError::Handler { flow: slug, step: step.clone(), why }),
            }
        }
        if unset.is_empty() { Ok(builder) } else { Err(WorkerError::Variables { variables: unset }) }
    }
}

fn handler(declared: &Value, variable: &mut dyn FnMut(&str) -> String) -> Result<Arc<dyn Handle>, String> {
    if let Some(query) = declared["sql"].as_str() {
        let statement = Statement::parse(query).map_err(|error| error.to_string())?;
        return Ok(Arc::new(sql::Sql(statement)));
    }
    match &declared["exec"] {
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
    match &declared["http"] {
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
) -> Result<Arc<dyn Handle>, String> {
    let name = format!("{method} {url}");
    let mut secrets = secrets::Secrets::default();
    let variable = &mut |name: &str| {
        let value = variable(name);
        secrets.add(name, &value);
        value
    };
    let address = reference::resolve(url, variable);
    // All of them before anything is made of them, so that every variable that is not set is found.
    let headers: Vec<(&String, String)> = headers
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .map(|(key, value)| (key, reference::resolve(value.as_str().unwrap_or_default(), variable)))
        .collect();
    // Errors do not repeat the values, which may be secrets.
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
    Ok(Arc::new(http::Http { method, uri, headers: map, name, secrets: Arc::new(secrets) }))
}

/// What a program or a server has given, if that is JSON; nothing is null.
fn json(bytes: &[u8]) -> Result<String, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?.trim();
    if text.is_empty() {
        return Ok("null".to_owned());
    }
    serde_json::from_str::<IgnoredAny>(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// The beginning of what somebody else has written, for an error.
fn excerpt(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]);
    let short: String = text.trim().chars().take(500).collect();
    if bytes.len() > short.len() + 4 { format!("{short} …") } else { short }
}
