//! Work on files in the background, while the database is queried.

use flowsmith_core::diagnostic::Code;
use tokio::task::{JoinHandle, spawn_blocking};

use super::exit::{Exit, Failure};

/// A running background task.
pub(crate) struct Background<T>(JoinHandle<T>);

impl<T: Send + 'static> Background<T> {
    /// Starts the work on a separate thread.
    pub(crate) fn start(work: impl FnOnce() -> T + Send + 'static) -> Self {
        Self(spawn_blocking(work))
    }

    /// Waits for the result.
    pub(crate) async fn finish(self) -> Result<T, Failure> {
        self.0.await.map_err(|error| {
            let message = format!("reading the files failed unexpectedly: {error}");
            Failure::new(
                Exit::Failed,
                Code::CheckAborted,
                message,
                "report this with the message and, if possible, the flow files",
            )
        })
    }
}
