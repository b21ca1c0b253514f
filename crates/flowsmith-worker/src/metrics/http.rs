//! A small HTTP server with two pages and one request per connection. Everything is bounded: connections, sizes and times.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// The maximum number of open connections. Further clients wait.
const MAX_CONNECTIONS: usize = 64;

/// How long a client may take to send its request, and how long a connection may last.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(15);

/// The maximum size of a request's line and headers in bytes. hyper supports no smaller buffer than 8 KiB.
const MAX_HEAD: usize = 8 * 1024;

/// The content of a page.
#[derive(Debug)]
pub(super) enum Content {
    /// Metrics in the text format.
    Metrics(String),
    /// The worker claims tasks.
    Healthy,
    /// The worker claims no tasks, for this reason.
    Unhealthy(&'static str),
}

/// Responds to requests until it is dropped. `page` returns the content of a path, or none if there is no such page.
pub(super) async fn serve<P, Fut>(listener: TcpListener, page: P)
where
    P: Fn(String) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Option<Content>> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // This fails only if the semaphore is closed, which never happens.
        let slot = Arc::clone(&slots).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let page = page.clone();
                tokio::spawn(async move {
                    // A client that is too slow or disconnects gets no response; such errors are not reported.
                    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, handle_connection(stream, page)).await;
                    drop(slot);
                });
            }
            // The process has too many open files, or the client has disconnected: the next attempt may succeed.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn handle_connection<P, Fut>(stream: TcpStream, page: P)
where
    P: Fn(String) -> Fut,
    Fut: Future<Output = Option<Content>>,
{
    let service = service_fn(|request: Request<Incoming>| {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let content = page(request.uri().path().to_owned());
        async move { Ok::<_, Infallible>(if is_read { response(content.await) } else { method_not_allowed() }) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(REQUEST_TIMEOUT)
        .max_buf_size(MAX_HEAD)
        .max_headers(64)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // hyper has already responded to invalid requests, if that was possible.
    let _ = connection.await;
}

fn response(content: Option<Content>) -> Response<Full<Bytes>> {
    match content {
        Some(Content::Metrics(page)) => body(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", page),
        Some(Content::Healthy) => text(StatusCode::OK, "ok\n"),
        Some(Content::Unhealthy(reason)) => text(StatusCode::SERVICE_UNAVAILABLE, reason),
        None => text(StatusCode::NOT_FOUND, "only /metrics and /healthz exist\n"),
    }
}

fn method_not_allowed() -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed\n");
    response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

fn text(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    body(status, "text/plain; charset=utf-8", text.to_owned())
}

fn body(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
