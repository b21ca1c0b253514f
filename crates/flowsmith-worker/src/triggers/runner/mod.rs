//! Starts runs as triggers say, until it is told to stop: schedules of a database without pg_cron ([`crate::triggers::schedules`]) and
//! events of queues ([`crate::triggers::queues`]).
//!
//! As many as one likes may do so at a time: each firing and each event starts one run.

mod agenda;
mod event;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};

use agenda::Agenda;
pub use event::Event;

use flowsmith_postgres::database::{DatabaseError, Link, LinkEvent, Owner, Target};

/// Sees to triggers.
pub struct Starter<O> {
    link: Link<Teller<O>>,
    agenda: Agenda<O>,
}

/// Tells what becomes of the connection.
struct Teller<O>(Arc<O>);

impl<O: Fn(&Event)> Owner for Teller<O> {
    fn hear(&self, event: LinkEvent<'_>) {
        (self.0)(&match event {
            LinkEvent::Lost(error, again_in) => Event::Disconnected { error: error.to_string(), again_in },
            LinkEvent::NotConnected(error, again_in) => Event::NotConnected { error: error.to_string(), again_in },
            LinkEvent::Connected { .. } => Event::Reconnected,
        });
    }
}

impl<O: Fn(&Event)> Starter<O> {
    /// Connects, and reads which triggers there are. Queues without events are looked at once in `poll_interval`; `observe` is
    /// told what happens.
    ///
    /// # Errors
    /// Where there is no connection, or the role may not see or fire triggers.
    pub async fn connect(target: &Target, poll_interval: Duration, observe: O) -> Result<Self, DatabaseError> {
        let target = target.clone().named("flowsmith starter");
        let observe = Arc::new(observe);
        let mut connection = target.connect().await?;
        let agenda = Agenda::read(&mut connection, poll_interval, Arc::clone(&observe)).await?;
        Ok(Self { link: Link::new(target, Teller(observe), Some(connection)), agenda })
    }

    /// Starts runs until `stop` is ready; what has been begun is finished first, unless the database is silent for 30 seconds. A
    /// connection that is lost is made anew, however long that takes.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        self.run_until(stop, std::future::pending()).await;
    }

    /// The same; once `give_up` is ready, what has been begun is dropped where it is, and the server undoes it.
    pub async fn run_until(self, stop: impl Future<Output = ()>, give_up: impl Future<Output = ()>) {
        select(pin!(self.work(stop)), pin!(give_up)).await;
    }

    async fn work(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        loop {
            let Either::Right((Some(connection), _)) = select(stop.as_mut(), pin!(self.link.get())).await else {
                return;
            };
            let pause = match self.agenda.round(connection).await {
                Ok(pause) => pause,
                Err(error) if self.link.was_lost_by(&error) => Duration::ZERO,
                Err(error) => self.agenda.refused(&error),
            };
            if let Either::Left(_) = select(stop.as_mut(), pin!(tokio::time::sleep(pause))).await {
                return;
            }
        }
    }
}
