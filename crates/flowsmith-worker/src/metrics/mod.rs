//! The metrics endpoint of a worker, for Prometheus.
//!
//! ```text
//! events of the worker ── counts ───┐
//! dispatcher, connection health ────┼─ page (metric) ─ GET /metrics ─┐
//! database ── runs ── sample ───────┘                                ├─ http
//!            connection health ──────────────────────── GET /healthz ┘
//! ```

mod counts;
mod http;
mod metric;
mod page;
mod sample;

pub use metric::{METRICS, Metric, MetricKind};
pub(crate) use sample::SampleSource;

use std::sync::Arc;

use tokio::net::TcpListener;

use crate::connection_health::NotReady;
use crate::error::WorkerError;
use crate::event::{Event, EventObserver};
use crate::flow::Flow;
use crate::shared::Shared;
use counts::Counts;
use http::Content;
use metric::{CONCURRENCY, HEARTBEAT, LISTENING, POLLING, RECONNECTS, RUNNING};
use page::Page;
use sample::Sampler;

/// Binds the address of the endpoint.
///
/// # Errors
/// If the address is not available.
pub(crate) async fn bind(address: &str) -> Result<TcpListener, WorkerError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| WorkerError::Metrics { address: address.to_owned(), reason: error.to_string() })
}

/// The metrics endpoint.
pub(crate) struct Endpoint {
    listener: TcpListener,
    counts: Arc<Counts>,
    sampler: Arc<Sampler>,
}

impl Endpoint {
    pub(crate) fn new(listener: TcpListener, source: SampleSource, flows: &[Flow]) -> Self {
        Self { listener, counts: Arc::new(Counts::new(flows)), sampler: Sampler::new(source) }
    }

    /// An observer that counts events and passes them on.
    pub(crate) fn counting(&self, observer: EventObserver) -> EventObserver {
        let counts = Arc::clone(&self.counts);
        Arc::new(move |event: &Event| {
            counts.count(event);
            observer(event);
        })
    }

    /// Answers requests until it is dropped.
    pub(crate) async fn serve(self, shared: &Arc<Shared>) {
        let Self { listener, counts, sampler } = self;
        if let Ok(address) = listener.local_addr() {
            shared.emit(&Event::ServingMetrics { address });
        }
        let shared = Arc::clone(shared);
        http::serve(listener, move |path| {
            let shared = Arc::clone(&shared);
            let (counts, sampler) = (Arc::clone(&counts), Arc::clone(&sampler));
            async move {
                match path.as_str() {
                    "/metrics" => {
                        let sample = sampler.sample().await;
                        let mut page = Page::default();
                        write_state(&shared, &mut page);
                        counts.write(&mut page);
                        sample.write(&mut page);
                        Some(Content::Metrics(page.into_text()))
                    }
                    "/healthz" => Some(health(&shared)),
                    _ => None,
                }
            }
        })
        .await;
    }
}

fn health(shared: &Shared) -> Content {
    match shared.not_ready() {
        None => Content::Healthy,
        Some(NotReady::Draining) => {
            Content::Unhealthy("draining: the worker exits when its running tasks have finished\n")
        }
        Some(NotReady::Disconnected) => Content::Unhealthy("the connection to the database is lost; reconnecting\n"),
        Some(NotReady::ClaimsRejected) => Content::Unhealthy("the database rejects claims of tasks; see the log\n"),
    }
}

/// Writes the current state of the worker.
fn write_state(shared: &Shared, page: &mut Page) {
    let health = &shared.health;
    page.value(&POLLING, if shared.not_ready().is_none() { 1.0 } else { 0.0 });
    page.value(&LISTENING, if health.is_listening() { 1.0 } else { 0.0 });
    page.value(&HEARTBEAT, health.last_heartbeat().unwrap_or_default());
    page.value(&CONCURRENCY, shared.dispatcher.concurrency() as f64);
    let mut running = page.metric(&RUNNING);
    for flow in &shared.flows {
        for step in &flow.steps {
            running.value(&[&flow.slug, &step.slug], step.running() as f64);
        }
    }
    page.value(&RECONNECTS, health.reconnects() as f64);
}
