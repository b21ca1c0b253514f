//! Queues that belong to others: no flow adopts one, and none is dropped or emptied with a flow.

use flowsmith_postgres::engine::roles::Role;

use crate::engine::definitions::{execute, text, with_engine};
use crate::engine::roles::Team;
use crate::fixture::runtime::error;

/// Creates a queue with a message as a role that may create queues, but is not otherwise privileged.
async fn queue_of_other_role(team: &Team, queue: &str) -> String {
    let c = &mut team.database.connect().await;
    let owner = team.name("other");
    execute(c, &format!("create role {owner} login")).await;
    execute(c, &format!("grant usage, create on schema pgmq to {owner}; grant all on pgmq.meta to {owner}")).await;
    execute(c, &format!("grant all on all tables in schema pgmq to {owner}")).await;
    let sql = format!("select pgmq.create('{queue}'), pgmq.send('{queue}', '{{\"precious\": true}}')");
    execute(&mut team.connect(&owner).await, &sql).await;
    owner
}

#[tokio::test]
async fn flow_does_not_adopt_existing_queue() {
    let team = Team::new().await;
    queue_of_other_role(&team, "private").await;
    let c = &mut team.database.connect().await;
    execute(c, "select pgmq.create('own'), pgmq.create('Mixed')").await;
    let deployer = &mut team.session(Role::Deployer).await;
    for (slug, queue) in [("private", "private"), ("own", "own"), ("mixed", "mixed"), ("PRIVATE", "private")] {
        let (code, message) = error(deployer, &format!("select pgflow.create_flow('{slug}')")).await;
        assert_eq!(
            (code.as_str(), message),
            ("23505", format!("cannot create flow \"{slug}\": queue \"{queue}\" is already in use by another owner"))
        );
    }
    assert_eq!(text(c, "select count(*) from pgflow.flows").await.as_deref(), Some("0"));

    let project = team.project();
    project.flow("private", "", "  load: {}");
    project.compile();
    let refused = project.exits_with(1, &["apply"]);
    assert!(refused.contains("queue \"private\" is already in use by another owner"), "{refused}");
    assert_eq!(text(c, "select count(*) from pgmq.q_private").await.as_deref(), Some("1"));
}

#[tokio::test]
async fn dropped_flow_keeps_queue_that_another_role_created_again() {
    let team = Team::new().await;
    let c = &mut team.database.connect().await;
    let deployer = &mut team.session(Role::Deployer).await;
    execute(deployer, "select pgflow.create_flow('order'), pgflow.add_step('order', 'load')").await;
    execute(c, "select pgflow.start_flow('order', '{}'); select pgflow.cancel_run(run_id) from pgflow.runs").await;
    execute(c, "select pgmq.drop_queue('order')").await;
    queue_of_other_role(&team, "order").await;

    let (code, _) = error(deployer, "select pgflow.create_flow('order')").await;
    assert_eq!(code, "23505", "the flow exists, but the queue is not its own");
    execute(c, "select pgflow.prune_runs('0 s')").await;
    assert_eq!(text(c, "select count(*) from pgflow.runs").await.as_deref(), Some("0"));
    assert_eq!(text(c, "select count(*) from pgmq.q_order").await.as_deref(), Some("1"));
    execute(c, "select flowsmith.drop_flow('order')").await;
    assert_eq!(text(c, "select count(*) from pgmq.q_order").await.as_deref(), Some("1"));
    assert_eq!(text(c, "select count(*) from pgflow.flows").await.as_deref(), Some("0"));
}

#[tokio::test]
async fn existing_flow_gets_missing_queue_again() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    for _ in 0..2 {
        execute(c, "select pgflow.create_flow('order'), pgflow.create_flow('order')").await;
        assert_eq!(text(c, "to_regclass('pgmq.q_order')").await.as_deref(), Some("pgmq.q_order"));
        execute(c, "select pgmq.drop_queue('order')").await;
    }
    execute(c, "select pgflow.create_flow('order')").await;
    execute(c, "select pgflow.delete_flow_and_data('order')").await;
    assert_eq!(text(c, "to_regclass('pgmq.q_order')").await, None);
    // A queue that has the name of no flow is not deleted with the flow that does not exist.
    execute(c, "select pgmq.create('bill'); select pgflow.delete_flow_and_data('bill')").await;
    assert_eq!(text(c, "to_regclass('pgmq.q_bill')").await.as_deref(), Some("pgmq.q_bill"));
}

/// A queue that was created again numbers its messages from 1, as the one before did.
#[tokio::test]
async fn pruning_keeps_messages_of_other_runs_with_same_ids() {
    let database = with_engine().await;
    let c = &mut database.connect().await;
    execute(c, "select pgflow.create_flow('order'), pgflow.add_step('order', 'load')").await;
    execute(c, "select pgflow.start_flow('order', '{}'); select pgflow.cancel_run(run_id) from pgflow.runs").await;
    execute(c, "select pgmq.drop_queue('order'); select pgflow.create_flow('order')").await;
    execute(c, "select pgflow.start_flow('order', '{}')").await;
    assert_eq!(
        text(c, "select string_agg(message_id::text, ',') from pgflow.step_tasks").await.as_deref(),
        Some("1,1")
    );
    execute(c, "select pgflow.prune_runs('0 s')").await;
    assert_eq!(text(c, "select count(*) from pgflow.runs").await.as_deref(), Some("1"));
    assert_eq!(text(c, "select count(*) from pgmq.q_order").await.as_deref(), Some("1"));
    assert_eq!(text(c, "select count(*) from pgflow.violations()").await.as_deref(), Some("0"));
}
