//! A database whose owner is not a superuser, as on managed servers: everything works for the owner and the roles.

use sqlx::ConnectOptions as _;

use crate::engine::definitions::{execute, text};
use crate::fixture::Database;
use crate::fixture::command::Project;

/// The owner may create roles. From PostgreSQL 16 on, that gives ADMIN OPTION on the roles that it creates, and no
/// membership that it could use.
#[tokio::test]
async fn plain_owner_installs_grants_and_deploys() {
    let database = Database::create().await;
    let name = database.options().get_database().unwrap().to_owned();
    let owner = format!("{name}_owner");
    let superuser = &mut database.connect().await;
    execute(superuser, &format!("create role {owner} login createrole; alter database {name} owner to {owner}")).await;
    let url = |login: &str| database.url().replace("user=postgres", &format!("user={login}"));
    let project = Project::new().with("DATABASE_URL", &url(&owner));
    project.succeeds(&["install", "--grants", "--role-prefix", &name]);
    project.succeeds(&["install", "--grants", "--role-prefix", &name]);

    let session = &mut database.options().username(&owner).connect().await.unwrap();
    execute(session, "create table public.orders (id int); grant trigger on public.orders to public").await;
    for role in ["deployer", "worker", "client", "operator"] {
        execute(session, &format!("create role {name}_{role}_login login; grant {name}_{role} to {name}_{role}_login"))
            .await;
    }
    project.flow("order", "", "  load: {}");
    project.compile();
    project.succeeds(&["apply"]);

    let deployer = project.with("DATABASE_URL", &url(&format!("{name}_deployer_login")));
    deployer.flow(
        "bill",
        "triggers:\n  - { name: orders, table: public.orders, input_sql: \"to_jsonb(new)\" }\n",
        "  send: {}",
    );
    deployer.compile();
    deployer.exits_with(2, &["plan"]);
    deployer.succeeds(&["apply"]);
    deployer.succeeds(&["status"]);
    deployer.succeeds(&["drift"]);
    execute(session, "insert into public.orders values (1)").await;
    let started = "(select string_agg(flow_slug, ',') from pgflow.runs)";
    assert_eq!(text(session, started).await.as_deref(), Some("bill"));

    let worker = &mut database.options().username(&format!("{name}_worker_login")).connect().await.unwrap();
    execute(
        worker,
        "insert into pgflow.workers (worker_id, queue_name, function_name)
         values ('00000000-0000-0000-0000-000000000001', 'bill', 'w')",
    )
    .await;
    execute(worker, "select pgflow.poll_tasks('bill', '00000000-0000-0000-0000-000000000001')").await;
    execute(worker, "select pgflow.complete_task(run_id, 'send', 0, '1') from pgflow.runs").await;
    assert_eq!(text(session, "(select status from pgflow.runs)").await.as_deref(), Some("completed"));

    let operator = deployer.with("DATABASE_URL", &url(&format!("{name}_operator_login")));
    operator.succeeds(&["pause", "bill"]);
    operator.succeeds(&["prune", "--older-than", "0s", "--yes"]);
    let owned = operator.with("DATABASE_URL", &url(&owner));
    let checked = owned.run(&["doctor"]);
    assert_eq!(checked.code, 0, "{checked}");
    // A superuser trusts the owner of the database.
    owned.with("DATABASE_URL", &database.url()).succeeds(&["plan"]);
}
