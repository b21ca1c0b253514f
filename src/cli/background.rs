//! Work on files that goes on while the database is asked.

use flowsmith_core::diagnostic::Code;
use tokio::task::{JoinHandle, spawn_blocking};

use super::exit::{Exit, Failure};

/// Work that was started and is to be waited for.
pub(crate) struct Background<T>(JoinHandle<T>);

impl<T: Send + 'static> Background<T> {
    /// Starts it on a thread of its own.
    pub(crate) fn start(work: impl FnOnce() -> T + Send + 'static) -> Self {
        Self(spawn_blocking(work))
    }

    /// Waits for what it gives.
    pub(crate) async fn finish(self) -> Result<T, Failure> {
        self.0.await.map_err(|error| {
            let message = format!("work on the files broke off, which is a defect of flowsmith: {error}");
            Failure::without_help(Exit::Failed, Code::CheckAborted, message)
        })
    }
}
