//! `http` handlers send the input as JSON; the body of the response is the output. They use no proxies and follow no redirects,
//! so that a request reaches the declared address and no other.

use std::sync::LazyLock;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use url::Url;

use super::json;
use crate::handler::{Context, Handler};
use crate::outcome::{HandlerError, Outcome, error_chain};
use flowsmith_core::redact::Redactor;

/// The largest response in bytes.
const MAX_RESPONSE: usize = 64 << 20;

/// A client that keeps connections open for later requests.
type HttpClient = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

static CLIENT: LazyLock<HttpClient> = LazyLock::new(|| {
    let provider = rustls::crypto::ring::default_provider();
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(provider)
        .expect("ring supports the algorithms of the default protocol versions")
        .https_or_http()
        .enable_http1()
        .build();
    Client::builder(TokioExecutor::new()).build(connector)
});

/// A request, with every reference to the environment resolved.
pub(super) struct Http {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) headers: HeaderMap,
    /// The name of the request in errors: as written in the flow file, without values of the environment.
    pub(super) name: String,
}

impl Handler for Http {
    fn handle(&self, input: String, context: Context) -> BoxFuture<'static, Outcome> {
        let sends = !matches!(self.method, Method::GET | Method::HEAD);
        let mut request = Request::new(Full::new(if sends { Bytes::from(input) } else { Bytes::new() }));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        let headers = request.headers_mut();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(USER_AGENT, HeaderValue::from_static(concat!("flowsmith/", env!("CARGO_PKG_VERSION"))));
        if sends {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        // The idempotency key is the same for every attempt, so that the server can detect a repetition.
        let headers_of_task = [
            ("idempotency-key", context.idempotency_key()),
            ("flowsmith-flow", context.flow),
            ("flowsmith-step", context.step),
            ("flowsmith-run-id", context.run_id),
            ("flowsmith-task-index", context.task_index.to_string()),
            ("flowsmith-attempt", context.attempt.to_string()),
        ];
        let (name, services) = (self.name.clone(), context.services);
        for (name, value) in headers_of_task {
            // Slugs and numbers are always valid header values.
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        async move { send(name, request, &services.secrets).await.map_or_else(Outcome::Failed, Outcome::Output) }
            .boxed()
    }
}

async fn send(name: String, request: Request<Full<Bytes>>, secrets: &Redactor) -> Result<String, HandlerError> {
    let response = CLIENT.request(request).await;
    let response = response.map_err(|error| HandlerError::retry(format!("{name}: {}", error_chain(&error))))?;
    let (head, body) = response.into_parts();
    let body = Limited::new(body, MAX_RESPONSE).collect().await.map_err(|error| {
        let message = format!("{name} answered {}, then failed: {error}", head.status);
        if error.is::<http_body_util::LengthLimitError>() {
            HandlerError::permanent(message)
        } else {
            HandlerError::retry(message)
        }
    })?;
    let body = body.to_bytes();
    if head.status.is_success() {
        return json::parse(&body).map_err(|error| {
            // The server has performed the request, so it must not be repeated.
            HandlerError::permanent(format!(
                "{name} answered {} with a body that is not JSON: {error}: {}",
                head.status,
                json::excerpt(&body, secrets)
            ))
        });
    }
    let details = match head.headers.get(LOCATION).and_then(|to| to.to_str().ok()) {
        Some(to) if head.status.is_redirection() => {
            format!(" to {}; redirects are not followed, so use that address", without_secrets(to))
        }
        _ if body.is_empty() => String::new(),
        _ => format!(": {}", json::excerpt(&body, secrets)),
    };
    let message = format!("{name} answered {}{details}", head.status);
    Err(if is_transient(head.status) { HandlerError::retry(message) } else { HandlerError::permanent(message) })
}

/// An address without user, password, query and fragment, which may be secret.
fn without_secrets(address: &str) -> String {
    let end = address.find(['?', '#']).unwrap_or(address.len());
    let cut = if end < address.len() { "?…" } else { "" };
    let visible = match Url::parse(address) {
        Ok(url) if url.has_host() => {
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
        }
        Ok(url) => format!("{}:…", url.scheme()),
        // A path, or a host without a scheme.
        Err(_) => match address[..end].strip_prefix("//") {
            Some(rest) => {
                let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
                format!("//{}{path}", host.rsplit('@').next().unwrap_or_default())
            }
            None => address[..end].to_owned(),
        },
    };
    format!("{visible}{cut}")
}

/// Whether the same request may succeed later. Of the 4xx, this is true for 408 (the request took too long) and 429 (too many
/// requests).
fn is_transient(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_address_holds_only_scheme_host_and_path() {
        for (address, quoted) in [
            ("https://u:s3cret@x.test:8443/cb/a?code=s3cret#s3cret", "https://x.test:8443/cb/a?…"),
            ("https://x.test/cb", "https://x.test/cb"),
            ("/cb?token=s3cret", "/cb?…"),
            ("//u:s3cret@x.test/cb#s3cret", "//x.test/cb?…"),
            ("mailto:s3cret", "mailto:…"),
        ] {
            assert_eq!(without_secrets(address), quoted);
        }
    }
}
