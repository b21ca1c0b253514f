//! The triggers runner, which starts runs as triggers demand until it is stopped.

mod event;
mod observer;
mod timers;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};

use self::observer::Observer;
use self::timers::Timers;
use flowsmith_postgres::database::{DatabaseError, ReconnectingConnection, Target};

pub use self::event::TriggerEvent;

/// Starts runs as triggers demand.
pub struct Runner<O> {
    connection: ReconnectingConnection<Observer<O>>,
    timers: Timers<O>,
}

impl<O: Fn(&TriggerEvent)> Runner<O> {
    /// Connects and reads the triggers. Queues without events are polled every `poll_interval`; `observe` is called for every
    /// event.
    ///
    /// # Errors
    /// If the database is unavailable, or the role may not read or run triggers.
    pub async fn connect(target: &Target, poll_interval: Duration, observe: O) -> Result<Self, DatabaseError> {
        let target = target.clone().named("flowsmith triggers");
        let observe = Arc::new(observe);
        let mut connection = target.connect().await?;
        let timers = Timers::read(&mut connection, poll_interval, Arc::clone(&observe)).await?;
        Ok(Self { connection: ReconnectingConnection::new(target, Observer(observe), Some(connection)), timers })
    }

    /// Starts runs until `stop` resolves. Work in progress is completed first, unless the database does not respond for 30
    /// seconds. The runner reconnects after every loss of the connection.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        self.run_until(stop, std::future::pending()).await;
    }

    /// Works like [`Runner::run`]. When `cancel` resolves, work in progress is dropped, and the server rolls it back.
    pub async fn run_until(self, stop: impl Future<Output = ()>, cancel: impl Future<Output = ()>) {
        select(pin!(self.work(stop)), pin!(cancel)).await;
    }

    async fn work(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            let Either::Right((Some(connection), _)) = select(stop.as_mut(), pin!(self.connection.get())).await else {
                return;
            };
            let pause = match self.timers.run_due(connection).await {
                Ok(pause) => pause,
                Err(error) if self.connection.was_lost_by(&error) => Duration::ZERO,
                Err(error) => self.timers.emit_rejected(&error),
            };
            if let Either::Left(_) = select(stop.as_mut(), pin!(tokio::time::sleep(pause))).await {
                return;
            }
        }
    }
}
