//! A session for operators: the database, its engine, and what can be read there.

use sqlx::postgres::PgConnection;

use super::{
    DetailLevel, Engine, FlowStats, Flows, QueueDepth, QueueWorkers, RunDetail, RunFilter, RunList, RunPrefix,
    RunSummary, RunsError, StalledTasks, Worker, find_stalled, list_runs, read_queue_workers, read_queues, read_run,
    read_stats, read_workers, requeue_stalled,
};
use crate::database::{DatabaseError, Failure, Target};
use crate::session::{Session, SessionError};

/// A session with a database that has an engine.
#[derive(Debug)]
pub struct Operator {
    /// The session.
    pub session: Session,
    /// The engine.
    pub engine: Engine,
}

impl Operator {
    /// Connects to a database that has an engine.
    ///
    /// # Errors
    /// If the database cannot be reached, or has no engine.
    pub async fn open(target: &Target) -> Result<Self, SessionError> {
        Self::new(Session::open(target).await?)
    }

    /// Operates on an open session.
    ///
    /// # Errors
    /// If the database has no engine.
    pub fn new(session: Session) -> Result<Self, SessionError> {
        session.level()?;
        let engine = Engine::of(&session.detection).expect("an engine with a level is present");
        Ok(Self { session, engine })
    }

    /// Replaces the connection, after it was lost.
    ///
    /// # Errors
    /// If the server cannot be reached or refuses the user.
    pub async fn reconnect(&mut self) -> Result<(), DatabaseError> {
        self.session.reconnect().await
    }

    /// The connection.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.session.connection
    }

    /// Reads the flow versions of the database.
    ///
    /// # Errors
    /// If the connection fails, or the role may not read definitions.
    pub async fn flows(&mut self) -> Result<Flows, RunsError> {
        Ok(Flows::read(&mut self.session.connection, self.engine).await?.in_database(&self.session.database))
    }

    /// Reads the flow versions of the database, or none if the role may read runs but not definitions: runs are then shown with
    /// their slugs.
    ///
    /// # Errors
    /// If the connection fails.
    pub async fn flows_if_allowed(&mut self) -> Result<Flows, RunsError> {
        match self.flows().await {
            Err(RunsError::Database(error)) if error.failure() == Failure::Permission => Ok(Flows::default()),
            result => result,
        }
    }

    /// Looks up the whole id of a run.
    ///
    /// # Errors
    /// If no run has this id, or several do.
    pub async fn run_id(&mut self, run: &RunPrefix) -> Result<String, RunsError> {
        run.resolve(&mut self.session.connection).await.map_err(|error| error.in_database(&self.session.database))
    }

    /// Lists runs of the flow that is named, or of all flows.
    ///
    /// # Errors
    /// If there is no such flow, the connection fails, or the role may not read runs.
    pub async fn runs(&mut self, flow: Option<&str>, filter: RunFilter) -> Result<RunList, RunsError> {
        let flows = self.flows().await?;
        let slugs = flow.map(|name| flows.slugs_of(name)).transpose()?;
        list_runs(&mut self.session.connection, self.engine, &flows, &RunFilter { slugs, ..filter }).await
    }

    /// Reads the states of a run and its steps, under the slug of its flow version.
    ///
    /// # Errors
    /// If there is no such run, or the connection fails.
    pub async fn states(&mut self, run: &RunPrefix) -> Result<RunDetail, RunsError> {
        let run_id = self.run_id(run).await?;
        read_run(&mut self.session.connection, self.engine, &Flows::default(), &run_id, DetailLevel::Status).await
    }

    /// Reads the queues of the flow that is named, or of all flows.
    ///
    /// # Errors
    /// If there is no such flow, the connection fails, or the role may not read queues.
    pub async fn queues(&mut self, flow: Option<&str>) -> Result<Vec<QueueDepth>, RunsError> {
        let flows = self.flows().await?;
        read_queues(&mut self.session.connection, self.engine, &flows.named_or_all(flow)?).await
    }

    /// Reads the statistics of the flow that is named, also by step, or of all flows, over the last `since` seconds.
    ///
    /// # Errors
    /// If there is no such flow, the connection fails, or the role may not read runs and queues.
    pub async fn stats(&mut self, flow: Option<&str>, since: f64) -> Result<Vec<FlowStats>, RunsError> {
        let flows = self.flows().await?;
        let named = flows.named_or_all(flow)?;
        read_stats(&mut self.session.connection, self.engine, &named, since, flow.is_some()).await
    }

    /// Finds the tasks of the flow that is named, or of all flows, that have not moved for `at_least` seconds.
    ///
    /// # Errors
    /// If there is no such flow, the connection fails, or the role may not read runs and queues.
    pub async fn stalled(&mut self, flow: Option<&str>, at_least: f64) -> Result<Vec<StalledTasks>, RunsError> {
        let flows = self.flows().await?;
        find_stalled(&mut self.session.connection, self.engine, &flows.named_or_all(flow)?, at_least).await
    }

    /// Requeues the tasks of all flows that have been started for longer than their timeout, and then finds those that still do
    /// not move, as [`Operator::stalled`] does. Returns the number of requeued tasks too.
    ///
    /// # Errors
    /// If there is no such flow, or the engine cannot requeue tasks.
    pub async fn requeue(&mut self, flow: Option<&str>, at_least: f64) -> Result<(u64, Vec<StalledTasks>), RunsError> {
        let flows = self.flows().await?;
        let named = flows.named_or_all(flow)?;
        let tasks = requeue_stalled(&mut self.session.connection, self.engine).await?;
        let stalls = find_stalled(&mut self.session.connection, self.engine, &named, at_least).await?;
        Ok((tasks, stalls))
    }

    /// Lists the workers of these queues, or of all queues; `all` includes those that have stopped or been silent for a day.
    ///
    /// # Errors
    /// If the connection fails, or the role may not read workers.
    pub async fn workers(&mut self, queues: Option<Vec<String>>, all: bool) -> Result<Vec<Worker>, RunsError> {
        read_workers(&mut self.session.connection, self.engine, queues, all).await
    }

    /// Counts the workers of these queues, or of all queues, that are alive.
    ///
    /// # Errors
    /// If the connection fails, or the role may not read workers.
    pub async fn worker_counts(&mut self, queues: Option<Vec<String>>) -> Result<QueueWorkers, RunsError> {
        read_queue_workers(&mut self.session.connection, self.engine, queues).await
    }

    /// The queues of the flow versions that a name means; `None` without a name.
    ///
    /// # Errors
    /// If there is no such flow, or the connection fails.
    pub async fn queue_names(&mut self, flow: Option<&str>) -> Result<Option<Vec<String>>, RunsError> {
        match flow {
            Some(name) => Ok(Some(self.flows().await?.slugs_of(name)?)),
            None => Ok(None),
        }
    }

    /// Connects again and reads a run with all its inputs and outputs. The connection before may have been abandoned within a
    /// query.
    ///
    /// # Errors
    /// If there is no such run, or the connection fails.
    pub async fn read_again(&mut self, run_id: &str) -> Result<RunDetail, RunsError> {
        self.reconnect().await?;
        let flows = self.flows_if_allowed().await?;
        read_run(&mut self.session.connection, self.engine, &flows, run_id, DetailLevel::Full).await
    }

    /// Reads a run, as deep as `depth` says.
    ///
    /// # Errors
    /// If there is no such run, or the connection fails.
    pub async fn run(&mut self, run: &RunPrefix, depth: DetailLevel) -> Result<RunDetail, RunsError> {
        let flows = self.flows_if_allowed().await?;
        let run_id = self.run_id(run).await?;
        read_run(&mut self.session.connection, self.engine, &flows, &run_id, depth).await
    }

    /// The workers of a run's queue if none of them is alive and the run has not ended. A role that starts runs need not be
    /// allowed to read workers; then the result is `None`.
    pub async fn missing_workers(&mut self, run: &RunSummary) -> Option<QueueWorkers> {
        if run.status.is_terminal() {
            return None;
        }
        let workers =
            read_queue_workers(&mut self.session.connection, self.engine, Some(vec![run.slug.clone()])).await.ok()?;
        (workers.workers == 0).then_some(workers)
    }
}
