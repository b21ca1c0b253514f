//! A small HTTP server on a free port.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The number of requests, by `idempotency-key`.
type Calls = Arc<Mutex<HashMap<String, usize>>>;

/// Responds by path: `/echo` with the request, `/404` and similar paths with that status.
pub(crate) struct HttpServer {
    address: String,
    calls: Calls,
    serving: JoinHandle<()>,
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl HttpServer {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::new(AtomicUsize::new(0));
        let calls = Calls::default();
        let counted = Arc::clone(&calls);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&asked), Arc::clone(&counted)));
            }
        });
        Self { address, calls, serving }
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The number of requests, by `idempotency-key`.
    pub(crate) fn calls(&self) -> HashMap<String, usize> {
        self.calls.lock().unwrap().clone()
    }
}

/// Serves one connection. A killed worker may send an incomplete request.
async fn serve(stream: TcpStream, asked: Arc<AtomicUsize>, calls: Calls) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    while stream.read_line(&mut line).await.is_ok_and(|read| read > 0) {
        let mut headers = serde_json::Map::new();
        let mut header = String::new();
        while stream.read_line(&mut header).await.is_ok() && header.trim() != "" {
            let Some((name, value)) = header.trim().split_once(": ") else { return };
            headers.insert(name.to_lowercase(), value.into());
            header.clear();
        }
        let length = headers.get("content-length").and_then(Value::as_str).map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        if stream.read_exact(&mut body).await.is_err() {
            return;
        }
        if let Some(key) = headers.get("idempotency-key").and_then(Value::as_str) {
            *calls.lock().unwrap().entry(key.to_owned()).or_default() += 1;
        }
        let body = String::from_utf8(body).unwrap();
        let path = line.split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
        let leak;
        let (status, extra, answer) = match path.split('?').next().unwrap() {
            "echo" => (200, "", json!({ "line": line.trim(), "headers": headers, "body": body }).to_string()),
            "empty" => (204, "", String::new()),
            "prose" => (200, "", "all fine".to_owned()),
            "302" => (302, "location: /echo\r\n", String::new()),
            // Repeats the secrets of the request.
            "leak-302" => {
                let authorization = headers["authorization"].as_str().unwrap();
                let query = path.split_once('?').unwrap().1;
                leak = format!("location: https://u:{authorization}@x.test/{authorization}?{query}\r\n");
                (302, leak.as_str(), String::new())
            }
            "leak-500" => (500, "", format!("{}{}", "x".repeat(480), json!({ "headers": headers, "path": path }))),
            "once-500" if asked.fetch_add(1, Ordering::Relaxed) > 0 => (200, "", "\"now\"".to_owned()),
            "once-500" => (500, "", String::new()),
            "cut" => return,
            status => (status.parse().unwrap(), "", format!("{{\"why\": \"{status}\"}}")),
        };
        let length = answer.len();
        let answer = format!("HTTP/1.1 {status} Words\r\n{extra}content-length: {length}\r\n\r\n{answer}");
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
        line.clear();
    }
}
