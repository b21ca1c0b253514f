//! The privileges of every role on every object, from the catalog: exactly those of `rights.txt`.

use std::collections::BTreeSet;

use flowsmith_postgres::engine::roles::{Right, Role, rights};
use sqlx::PgPool;

use crate::engine::definitions::execute;
use crate::engine::roles::Team;
use crate::fixture::Database;
use crate::fixture::runtime::rows;

/// Every privilege that a role has on an object of the schemas, also through PUBLIC: `SELECT on table pgflow.runs`.
const HELD: &str = "
    with relation as (
      select c.oid, c.relkind, c.relname, format('%I.%I', n.nspname, c.relname) as name
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('pgflow', 'flowsmith', 'flowsmith_triggers', 'realtime')
         or n.nspname = 'pgmq' and (c.relname = 'meta' or c.relname ~ '^[qa]_')
    ),
    table_privilege (privilege) as (
      select unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']
        || case when current_setting('server_version_num')::int >= 170000 then array['MAINTAIN'] else '{}' end)
    )
    select format('%s on table %s', privilege, name) from relation, table_privilege
    where relkind in ('r', 'p', 'v') and has_table_privilege('{role}', oid, privilege)
    union all
    select format('%s (%s) on table %s', privilege, a.attname, name)
    from relation join pg_attribute a on a.attrelid = relation.oid and a.attnum > 0 and not a.attisdropped,
      unnest(array['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) privilege
    where relkind in ('r', 'p', 'v') and has_column_privilege('{role}', relation.oid, a.attnum, privilege)
      and not has_table_privilege('{role}', relation.oid, privilege)
    union all
    select format('%s on sequence %s', privilege, name) from relation, unnest(array['USAGE', 'SELECT', 'UPDATE']) privilege
    where relkind = 'S' and has_sequence_privilege('{role}', oid, privilege)
    union all
    select format('EXECUTE on function %I.%I', n.nspname, p.proname)
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname in ('pgflow', 'flowsmith', 'flowsmith_triggers', 'realtime') and has_function_privilege('{role}', p.oid, 'execute')
    union all
    select format('%s on schema %s', privilege, n.nspname) from pg_namespace n, unnest(array['USAGE', 'CREATE']) privilege
    where n.nspname in ('pgflow', 'flowsmith', 'flowsmith_triggers', 'realtime', 'pgmq')
      and has_schema_privilege('{role}', n.oid, privilege)
    union all
    select format('USAGE on type %I.%I', n.nspname, t.typname)
    from pg_type t join pg_namespace n on n.oid = t.typnamespace left join pg_class c on c.oid = t.typrelid
    where n.nspname in ('pgflow', 'flowsmith', 'flowsmith_triggers') and t.typelem = 0 and (t.typrelid = 0 or c.relkind = 'c')
      and has_type_privilege('{role}', t.oid, 'usage')";

/// What `rights.txt` says, with the two tables of the queue `order` for `queue` and `archive`.
fn expected(role: Role) -> BTreeSet<String> {
    let line = |right: Right| match right.object.as_str() {
        "queue" => format!("{} on table pgmq.q_order", right.privilege),
        "archive" => format!("{} on table pgmq.a_order", right.privilege),
        _ => right.to_string(),
    };
    rights(role).into_iter().map(line).collect()
}

/// Default privileges that were set for everything before the schemas and the queue are created do not change that.
#[tokio::test]
async fn every_role_has_its_listed_privileges_on_every_object_and_no_others() {
    let database = Database::create().await;
    let pool = PgPool::connect_with(database.options()).await.unwrap();
    pgmq::install::install_sql_from_embedded(&pool).await.unwrap();
    pool.close().await;
    let c = &mut database.connect().await;
    // A queue that does not belong to a flow.
    execute(c, "select pgmq.create('others')").await;
    for kind in ["tables", "sequences", "functions", "types"] {
        execute(c, &format!("alter default privileges grant all on {kind} to public")).await;
    }
    let team = Team::on(database).await;
    // The queue of this flow is created after the grants.
    execute(&mut team.session(Role::Deployer).await, "select pgflow.create_flow('order')").await;
    let has_last_read_at =
        "select 1 from pg_attribute where attrelid = 'pgmq.q_order'::regclass and attname = 'last_read_at'";
    let has_last_read_at = !rows(c, has_last_read_at).await.is_empty();

    for role in Role::ALL {
        let held: BTreeSet<String> = rows(c, &HELD.replace("{role}", &team.login(role))).await.into_iter().collect();
        let mut expected = expected(role);
        expected.retain(|line| has_last_read_at || !line.contains("last_read_at"));
        let extra: Vec<_> = held.difference(&expected).collect();
        let missing: Vec<_> = expected.difference(&held).collect();
        assert!(extra.is_empty() && missing.is_empty(), "{role:?} has {extra:#?} and lacks {missing:#?}");
    }
    let of_public = rows(c, &HELD.replace("{role}", &team.name("stranger"))).await;
    assert!(of_public.is_empty(), "PUBLIC has {of_public:#?}");
}

#[tokio::test]
async fn roles_have_no_attributes_memberships_or_objects() {
    let team = Team::new().await;
    let project = team.project();
    project.flow("order", "", "  load: {}");
    project.compile();
    project.succeeds(&["apply"]);
    let c = &mut team.database.connect().await;
    for role in Role::ALL {
        let name = team.prefix.name(role);
        let attributes = format!(
            "select rolname from pg_roles where rolname = '{name}'
               and (rolsuper or rolcreaterole or rolcreatedb or rolcanlogin or rolreplication or rolbypassrls)
             union all
             select roleid::regrole::text from pg_auth_members where member = '{name}'::regrole
             union all
             select refobjid::regrole || ' owns ' || objid from pg_shdepend where refobjid = '{name}'::regrole and deptype = 'o'"
        );
        assert_eq!(rows(c, &attributes).await, Vec::<String>::new(), "{name}");
    }
}
