//! Operations on runs and flows that need more than one query: each looks up what is named, checks that the operation is possible,
//! and makes the change.

use std::time::Duration;

use super::{
    DetailLevel, FlowPause, FlowVersion, Flows, Operator, PruneFilter, RunDetail, RunPrefix, RunStatus, RunSummary,
    RunsError, StartInput, cancel_run, count_prunable, pause_flows, prune, read_run, resume_flows, retry_run,
    start_run,
};
use crate::database::Failure;
use flowsmith_core::catalog::State;

/// A run that was started.
#[derive(Debug)]
pub struct StartedRun {
    /// The run; it may have ended already.
    pub run: RunSummary,
    /// Its flow version.
    pub flow: FlowVersion,
}

/// A run that was retried.
#[derive(Debug)]
pub struct RetriedRun {
    /// The run before.
    pub before: RunDetail,
    /// The run now.
    pub run: RunSummary,
    /// The state of its flow version.
    pub state: State,
}

/// A run that can be cancelled.
#[derive(Debug)]
pub struct CancellableRun {
    /// The run.
    pub run: RunDetail,
    flows: Flows,
}

/// Runs to delete.
#[derive(Debug, Clone)]
pub struct PrunableRuns {
    /// The filter that selects them.
    pub filter: PruneFilter,
    /// Their number.
    pub count: u64,
}

impl Operator {
    /// Starts a run of a flow, after a check of its input against the schema that the flow declares.
    ///
    /// # Errors
    /// If there is no such flow, no version of it is current, the flow refuses the input, or the id is taken.
    pub async fn start(
        &mut self,
        flow: &str,
        input: &StartInput,
        run_id: Option<&RunPrefix>,
    ) -> Result<StartedRun, RunsError> {
        let flow = match self.flows().await {
            Ok(flows) => flows.to_start(flow)?.clone(),
            // A role that may start flows need not be allowed to read their definitions; see docs/roles.md.
            Err(RunsError::Database(error)) if error.failure() == Failure::Permission && self.engine.has_ledger => {
                FlowVersion::assumed(flow)
            }
            Err(error) => return Err(error),
        };
        input.check(&flow)?;
        let run = start_run(&mut self.session.connection, self.engine, &flow, input, run_id)
            .await
            .map_err(|error| error.in_database(&self.session.database))?;
        Ok(StartedRun { run, flow })
    }

    /// Retries a failed run from its failed steps on.
    ///
    /// # Errors
    /// If there is no such run, it has not failed, or the engine cannot retry runs.
    pub async fn retry(&mut self, run: &RunPrefix) -> Result<RetriedRun, RunsError> {
        let flows = self.flows().await?;
        let run_id = self.run_id(run).await?;
        let before = read_run(&mut self.session.connection, self.engine, &flows, &run_id, DetailLevel::Status).await?;
        let run = retry_run(&mut self.session.connection, self.engine, &flows, &run_id).await?;
        let state = flows.by_slug(&run.slug).map_or(State::Unmanaged, |flow| flow.state);
        Ok(RetriedRun { before, run, state })
    }

    /// Reads a run that can be cancelled; changes nothing.
    ///
    /// # Errors
    /// If there is no such run, it has ended, or the engine cannot cancel runs.
    pub async fn cancellable(&mut self, run: &RunPrefix) -> Result<CancellableRun, RunsError> {
        self.engine.require_operations("cancelling a run")?;
        let flows = self.flows().await?;
        let run_id = self.run_id(run).await?;
        let run = read_run(&mut self.session.connection, self.engine, &flows, &run_id, DetailLevel::Status).await?;
        match run.status {
            RunStatus::Started => Ok(CancellableRun { run, flows }),
            status => Err(RunsError::WrongStatus { run_id, status, done: "cancelled" }),
        }
    }

    /// Cancels a run that [`Operator::cancellable`] has read.
    ///
    /// # Errors
    /// If the run has ended meanwhile, or the connection fails.
    pub async fn cancel(
        &mut self,
        CancellableRun { run, flows }: &CancellableRun,
        reason: Option<&str>,
    ) -> Result<RunSummary, RunsError> {
        cancel_run(&mut self.session.connection, self.engine, flows, &run.run_id, reason).await
    }

    /// Reads a run that was cancelled, with all its inputs and outputs.
    ///
    /// # Errors
    /// If the run was deleted meanwhile, or the connection fails.
    pub async fn read_cancelled(&mut self, cancelled: &CancellableRun) -> Result<RunDetail, RunsError> {
        let CancellableRun { run, flows } = cancelled;
        read_run(&mut self.session.connection, self.engine, flows, &run.run_id, DetailLevel::Full).await
    }

    /// Pauses a flow: workers claim none of its tasks until it is resumed.
    ///
    /// # Errors
    /// If there is no such flow, or the engine cannot pause flows.
    pub async fn pause(&mut self, flow: &str) -> Result<Vec<FlowPause>, RunsError> {
        let flows = self.flows().await?;
        pause_flows(&mut self.session.connection, self.engine, &flows.named(flow)?).await
    }

    /// Resumes a paused flow.
    ///
    /// # Errors
    /// If there is no such flow, or the engine cannot pause flows.
    pub async fn resume(&mut self, flow: &str) -> Result<Vec<FlowPause>, RunsError> {
        let flows = self.flows().await?;
        resume_flows(&mut self.session.connection, self.engine, &flows.named(flow)?).await
    }

    /// Counts the runs that ended longer ago than `older_than`, of the flow that is named or of all flows; deletes nothing.
    ///
    /// # Errors
    /// If there is no such flow, or the engine cannot prune.
    pub async fn prunable(&mut self, flow: Option<&str>, older_than: Duration) -> Result<PrunableRuns, RunsError> {
        let flows = self.flows().await?;
        let slugs = flow.map(|name| flows.slugs_of(name)).transpose()?;
        let filter = PruneFilter { older_than: older_than.as_secs_f64(), slugs };
        let count = count_prunable(&mut self.session.connection, self.engine, &filter).await?;
        Ok(PrunableRuns { filter, count })
    }

    /// Deletes runs in batches; `progress` is called with the number of deleted runs between them. Returns that number.
    ///
    /// # Errors
    /// If the connection fails. What was deleted before remains deleted.
    pub async fn prune(&mut self, runs: &PrunableRuns, progress: impl FnMut(u64)) -> Result<u64, RunsError> {
        if runs.count == 0 {
            return Ok(0);
        }
        prune(&mut self.session.connection, self.engine, &runs.filter, progress).await
    }
}
