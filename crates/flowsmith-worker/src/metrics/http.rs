//! A small HTTP server: two pages to read, one request a connection, everything bounded.

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

/// Connections at once; who comes then waits.
const CONNECTIONS: usize = 64;

/// How long a client may take to ask, and all in all.
const ASKING: Duration = Duration::from_secs(5);
const ALL_IN_ALL: Duration = Duration::from_secs(15);

/// Bytes of a request's line and headers. hyper reads no smaller pieces than 8 KiB.
const HEAD: usize = 8 * 1024;

/// What is on a page.
#[derive(Debug)]
pub(super) enum Answer {
    /// Metrics in the text format.
    Metrics(String),
    /// The worker is well.
    Well,
    /// It is not: why.
    Unwell(&'static str),
}

/// Answers requests until it is dropped. `page` gives what is at a path; none where nothing is.
pub(super) async fn serve<P, Paging>(listener: TcpListener, page: P)
where
    P: Fn(String) -> Paging + Clone + Send + Sync + 'static,
    Paging: Future<Output = Option<Answer>> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // Never closed, so it fails never.
        let place = Arc::clone(&room).acquire_owned().await;
        match listener.accept().await {
            Ok((stream, _)) => {
                let page = page.clone();
                tokio::spawn(async move {
                    // Whoever is not done by then, or breaks off, gets nothing; there is nobody to tell.
                    let _ = tokio::time::timeout(ALL_IN_ALL, converse(stream, page)).await;
                    drop(place);
                });
            }
            // The process has too many files open, or the client has gone: the next attempt may do better.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn converse<P, Paging>(stream: TcpStream, page: P)
where
    P: Fn(String) -> Paging,
    Paging: Future<Output = Option<Answer>>,
{
    let service = service_fn(|request: Request<Incoming>| {
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        let asked = page(request.uri().path().to_owned());
        async move { Ok::<_, Infallible>(if is_read { response(asked.await) } else { refused() }) }
    });
    let conversing = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(ASKING)
        .max_buf_size(HEAD)
        .max_headers(64)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // What the client did wrong has been answered, where that was possible.
    let _ = conversing.await;
}

fn response(answer: Option<Answer>) -> Response<Full<Bytes>> {
    match answer {
        Some(Answer::Metrics(text)) => plain(StatusCode::OK, "text/plain; version=0.0.4; charset=utf-8", text),
        Some(Answer::Well) => words(StatusCode::OK, "ok\n"),
        Some(Answer::Unwell(why)) => words(StatusCode::SERVICE_UNAVAILABLE, why),
        None => words(StatusCode::NOT_FOUND, "only /metrics and /healthz exist\n"),
    }
}

fn refused() -> Response<Full<Bytes>> {
    let mut refused = words(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed\n");
    refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
    refused
}

fn words(status: StatusCode, text: &'static str) -> Response<Full<Bytes>> {
    plain(status, "text/plain; charset=utf-8", text.to_owned())
}

fn plain(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
