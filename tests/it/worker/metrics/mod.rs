//! The metrics endpoint of workers.

mod endpoint;
mod monitoring;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use flowsmith_worker::Event;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Events, WAIT_TIMEOUT};

/// The endpoint of a worker.
#[derive(Clone, Copy)]
struct Endpoint(SocketAddr);

/// A response.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Endpoint {
    /// The endpoint of the worker with these events.
    async fn of(events: &Events) -> Self {
        match events.wait(|event| matches!(event, Event::ServingMetrics { .. })).await {
            Event::ServingMetrics { address } => Self(address),
            other => panic!("{other:?}"),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await
    }

    /// Sends these bytes, and reads until the endpoint closes the connection.
    async fn ask(&self, request: &[u8]) -> Answer {
        let mut stream = TcpStream::connect(self.0).await.unwrap();
        // A request that is too long is refused before all of it is sent.
        let _ = stream.write_all(request).await;
        let mut bytes = Vec::new();
        let read = tokio::time::timeout(WAIT_TIMEOUT, stream.read_to_end(&mut bytes))
            .await
            .expect("the endpoint closes the connection");
        assert!(read.is_ok() || !bytes.is_empty(), "{read:?}");
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).map_or(0, |status| status.parse().unwrap());
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }

    /// All series with their values.
    async fn metrics(&self) -> BTreeMap<String, f64> {
        let answer = self.get("/metrics").await;
        assert_eq!(answer.status, 200, "{}", answer.head);
        let lines = answer.body.lines().filter(|line| !line.starts_with('#'));
        let series = lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        });
        series.collect()
    }

    /// Waits until a series has a value, or is missing. Figures of the database are cached for some seconds.
    async fn until(&self, series: &str, value: Option<f64>) -> BTreeMap<String, f64> {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        loop {
            let metrics = self.metrics().await;
            if metrics.get(series).copied() == value {
                return metrics;
            }
            assert!(Instant::now() < deadline, "{series} never became {value:?}: {metrics:#?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until `/healthz` responds with this status.
    async fn until_health(&self, status: u16) -> Answer {
        let deadline = Instant::now() + WAIT_TIMEOUT;
        loop {
            let answer = self.get("/healthz").await;
            if answer.status == status {
                return answer;
            }
            assert!(Instant::now() < deadline, "/healthz never reported {status}: {}", answer.body);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The body of a page.
pub(super) async fn read(address: &str, path: &str) -> String {
    Endpoint(address.parse().unwrap()).get(path).await.body
}

/// A handler that returns its input.
async fn echo(input: Value, _: flowsmith_worker::Context) -> Result<Value, flowsmith_worker::HandlerError> {
    Ok(input)
}
