//! `http` handlers: the input is sent as JSON, the answer's body is the output. Proxies are not used and redirections not
//! followed: the address is the one that was meant.

use std::sync::{Arc, LazyLock};

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

use super::super::handler::{Context, Handle, HandlerError, Outcome, chain};
use super::secrets::Secrets;

/// The longest answer, in bytes.
const LONGEST: usize = 64 << 20;

/// Bytes of an answer that an error may come from.
const QUOTABLE: usize = 64 << 10;

/// Whose connections are kept for the next request.
type Keeper = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

static CLIENT: LazyLock<Keeper> = LazyLock::new(|| {
    let provider = rustls::crypto::ring::default_provider();
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_webpki_roots(provider)
        .expect("ring knows what webpki's roots need")
        .https_or_http()
        .enable_http1()
        .build();
    Client::builder(TokioExecutor::new()).build(connector)
});

/// A request, with every reference to the environment resolved.
pub(in super::super) struct Http {
    pub(in super::super) method: Method,
    pub(in super::super) uri: Uri,
    pub(in super::super) headers: HeaderMap,
    /// How the request is called in errors: as it is written in the file, without what comes from the environment.
    pub(in super::super) name: String,
    /// What errors must not quote, though the other side says it.
    pub(super) secrets: Arc<Secrets>,
}

impl Handle for Http {
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
        // The same for each attempt, so that the other side can tell a repetition.
        let about = [
            ("idempotency-key", context.idempotency_key()),
            ("flowsmith-flow", context.flow),
            ("flowsmith-step", context.step),
            ("flowsmith-run-id", context.run_id),
            ("flowsmith-task-index", context.task_index.to_string()),
            ("flowsmith-attempt", context.attempt.to_string()),
        ];
        for (name, value) in about {
            // Slugs and numbers are nothing that a header could not have.
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        let (name, secrets) = (self.name.clone(), Arc::clone(&self.secrets));
        async move {
            match ask(name, request, &secrets).await {
                Ok(output) => Outcome::Output(output),
                Err(error) => Outcome::Failed(HandlerError { message: secrets.blot(&error.message), ..error }),
            }
        }
        .boxed()
    }
}

async fn ask(name: String, request: Request<Full<Bytes>>, secrets: &Secrets) -> Result<String, HandlerError> {
    let answer =
        CLIENT.request(request).await.map_err(|error| HandlerError::retry(format!("{name}: {}", chain(&error))))?;
    let (head, body) = answer.into_parts();
    let body = Limited::new(body, LONGEST).collect().await.map_err(|error| {
        let message = format!("{name} answered {}, then failed: {error}", head.status);
        if error.is::<http_body_util::LengthLimitError>() {
            HandlerError::last(message)
        } else {
            HandlerError::retry(message)
        }
    })?;
    let body = body.to_bytes();
    if head.status.is_success() {
        return super::json(&body).map_err(|error| {
            // It has done what it was asked to, so it must not be asked again.
            HandlerError::last(format!(
                "{name} answered {} with a body that is not JSON: {error}: {}",
                head.status,
                excerpt(&body, secrets)
            ))
        });
    }
    let said = match head.headers.get(LOCATION).and_then(|to| to.to_str().ok()) {
        Some(to) if head.status.is_redirection() => {
            format!(" to {}; redirects are not followed, so use that address", place(to))
        }
        _ if body.is_empty() => String::new(),
        _ => format!(": {}", excerpt(&body, secrets)),
    };
    let message = format!("{name} answered {}{said}", head.status);
    Err(if is_passing(head.status) { HandlerError::retry(message) } else { HandlerError::last(message) })
}

/// An address without what may be secret in it: user, password, query and fragment.
fn place(address: &str) -> String {
    let end = address.find(['?', '#']).unwrap_or(address.len());
    let cut = if end < address.len() { "?…" } else { "" };
    let place = match Url::parse(address) {
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
    format!("{place}{cut}")
}

/// The beginning of an answer. Blotted out before it is cut, so that no beginning of a secret is left.
fn excerpt(body: &[u8], secrets: &Secrets) -> String {
    let beginning = String::from_utf8_lossy(&body[..body.len().min(QUOTABLE)]);
    super::excerpt(secrets.blot(&beginning).as_bytes())
}

/// Whether the same request may do better later. Two of the 4xx say just that: the request took too long to come, and there
/// were too many.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_address_only_scheme_host_and_path_are_quoted() {
        for (address, quoted) in [
            ("https://u:s3cret@x.test:8443/cb/a?code=s3cret#s3cret", "https://x.test:8443/cb/a?…"),
            ("https://x.test/cb", "https://x.test/cb"),
            ("/cb?token=s3cret", "/cb?…"),
            ("//u:s3cret@x.test/cb#s3cret", "//x.test/cb?…"),
            ("mailto:s3cret", "mailto:…"),
        ] {
            assert_eq!(place(address), quoted);
        }
    }
}
