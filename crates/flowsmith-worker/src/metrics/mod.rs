//! What a worker and its database do, for Prometheus.
//!
//! ```text
//! events of the worker ─ counts ─┐
//! board, contact ────────────────┼─ page (names: metric) ─ GET /metrics ┐
//! database ─ operate ─ sample ───┘                                      ├─ http
//!            contact ────────────────────────────────────── GET /healthz┘
//! ```

mod counts;
mod http;
mod metric;
mod page;
mod sample;

pub use metric::{METRICS, Metric, MetricKind};
pub(super) use sample::Source;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::net::TcpListener;

use super::contact::Idle;
use super::error::WorkerError;
use super::event::Event;
use super::listen::Hearing;
use super::shared::{Observer, Shared};
use super::task::Flow;
use counts::Counts;
use http::Answer;
use metric::{CONCURRENCY, HEARTBEAT, LISTENING, POLLING, RECONNECTS, RUNNING};
use page::Page;
use sample::Sampler;

/// Takes an address.
///
/// # Errors
/// Where it cannot be had.
pub(super) async fn bind(address: &str) -> Result<TcpListener, WorkerError> {
    TcpListener::bind(address)
        .await
        .map_err(|error| WorkerError::Metrics { address: address.to_owned(), why: error.to_string() })
}

/// What serves metrics.
pub(super) struct Endpoint {
    listener: TcpListener,
    counts: Arc<Counts>,
    sampler: Arc<Sampler>,
}

impl Endpoint {
    pub(super) fn new(listener: TcpListener, source: Source, flows: &[Flow]) -> Self {
        Self { listener, counts: Arc::new(Counts::new(flows)), sampler: Sampler::new(source) }
    }

    /// Counts what an observer is told.
    pub(super) fn counting(&self, observer: Observer) -> Observer {
        let counts = Arc::clone(&self.counts);
        Arc::new(move |event: &Event| {
            counts.count(event);
            observer(event);
        })
    }

    /// Answers until it is dropped.
    pub(super) async fn serve(self, shared: &Arc<Shared>, hearing: &Arc<Hearing>) {
        let Self { listener, counts, sampler } = self;
        if let Ok(address) = listener.local_addr() {
            shared.tell(&Event::ServesMetrics { address });
        }
        let (shared, hearing) = (Arc::clone(shared), Arc::clone(hearing));
        http::serve(listener, move |path| {
            let (shared, hearing) = (Arc::clone(&shared), Arc::clone(&hearing));
            let (counts, sampler) = (Arc::clone(&counts), Arc::clone(&sampler));
            async move {
                match path.as_str() {
                    "/metrics" => {
                        let sample = sampler.sample().await;
                        let mut page = Page::default();
                        write_state(&shared, &hearing, &mut page);
                        counts.write(&mut page);
                        sample.write(&mut page);
                        Some(Answer::Metrics(page.into_text()))
                    }
                    "/healthz" => Some(match shared.idle() {
                        None => Answer::Well,
                        Some(Idle::Draining) => {
                            Answer::Unwell("draining: the worker exits when its running tasks have finished\n")
                        }
                        Some(Idle::Lost) => Answer::Unwell("the connection to the database is lost; reconnecting\n"),
                        Some(Idle::Refused) => Answer::Unwell("the database rejects claims of tasks; see the log\n"),
                    }),
                    _ => None,
                }
            }
        })
        .await;
    }
}

/// What a worker is doing now.
fn write_state(shared: &Shared, hearing: &Hearing, page: &mut Page) {
    let contact = &shared.contact;
    page.value(&POLLING, if shared.idle().is_none() { 1.0 } else { 0.0 });
    page.value(&LISTENING, if hearing.is_listening() { 1.0 } else { 0.0 });
    page.value(&HEARTBEAT, contact.last_beat().unwrap_or_default());
    page.value(&CONCURRENCY, shared.board.concurrency() as f64);
    let mut running = page.metric(&RUNNING);
    for flow in &shared.flows {
        for step in &flow.steps {
            running.value(&[&flow.slug, &step.slug], step.running.load(Ordering::Relaxed) as f64);
        }
    }
    page.value(&RECONNECTS, contact.reconnects() as f64);
}
