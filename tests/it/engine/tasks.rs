//! Functions that workers call before a handler runs, and those that register workers.

use crate::fixture::runtime::{error, rows, run, value, with_merged_runtime, with_runtime};

const ALL_KINDS: &str = "select pgflow.create_flow('f'); select pgflow.add_step('f', 'items', step_type => 'map');
    select pgflow.add_step('f', 'root'); select pgflow.add_step('f', 'list', '{items}');
    select pgflow.add_step('f', 'each', '{list}', step_type => 'map');
    select pgflow.add_step('f', 'never', required_input_pattern => '{\"no\": 1}');
    select pgflow.add_step('f', 'last', '{root,never,list}')";

#[tokio::test]
async fn step_kinds_receive_their_inputs() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, ALL_KINDS).await;
    run(c, "select pgflow.start_flow('f', '[10, {\"k\": null}]', t.id())").await;
    assert_eq!(rows(c, "select t.take()").await, ["items 0 10", r#"items 1 {"k": null}"#, "root 0 {}"]);
    run(c, "select pgflow.complete_task(t.id(), 'items', 1, '\"b\"'); select pgflow.complete_task(t.id(), 'items', 0, null)").await;
    run(c, "select pgflow.complete_task(t.id(), 'root', 0, null)").await;
    assert_eq!(rows(c, "select t.take()").await, [r#"list 0 {"items": [null, "b"]}"#]);
    run(c, "select pgflow.complete_task(t.id(), 'list', 0, '[[1], null]')").await;
    // A skipped step is absent from the input; a step that completed without an output is null.
    assert_eq!(
        rows(c, "select t.take()").await,
        ["each 0 [1]", "each 1 null", r#"last 0 {"list": [[1], null], "root": null}"#]
    );
}

#[tokio::test]
async fn merged_inputs_contain_run_input() {
    let (_database, mut c) = with_merged_runtime().await;
    let c = &mut c;
    run(c, ALL_KINDS).await;
    run(c, "select pgflow.start_flow('f', '[10]', t.id())").await;
    assert_eq!(rows(c, "select t.take()").await, ["items 0 10", r#"root 0 {"run": [10]}"#]);
    run(c, "select pgflow.complete_task(t.id(), 'items', 0, '1')").await;
    assert_eq!(rows(c, "select t.take()").await, [r#"list 0 {"run": [10], "items": [1]}"#]);
    run(
        c,
        "select pgflow.complete_task(t.id(), 'list', 0, '[5]'); select pgflow.complete_task(t.id(), 'root', 0, '2')",
    )
    .await;
    assert_eq!(rows(c, "select t.take()").await, ["each 0 5", r#"last 0 {"run": [10], "list": [5], "root": 2}"#]);
}

#[tokio::test]
async fn only_single_root_steps_receive_flow_input() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'items', step_type => 'map'); select pgflow.add_step('f', 'root');
         select pgflow.add_step('f', 'last', '{root}'); select pgflow.start_flow('f', '[1]', t.id())",
    )
    .await;
    let poll = "select concat_ws(' ', r.flow_slug, r.run_id = t.id(), r.step_slug, r.msg_id = k.message_id, coalesce(r.flow_input::text, '-'))
        from pgflow.poll_tasks('f', t.worker()) r join pgflow.step_tasks k using (run_id, step_slug, task_index) order by r.step_slug";
    assert_eq!(rows(c, poll).await, ["f t items t -", "f t root t [1]"]);
    run(c, "select pgflow.complete_task(t.id(), 'root', 0, '1')").await;
    assert_eq!(rows(c, poll).await, ["f t last t -"]);
}

#[tokio::test]
async fn started_task_counts_attempt_and_hides_message_for_timeout() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', timeout => 100); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b', timeout => 500);
         select pgflow.start_flow('f', '{}', t.id()); select t.take()",
    )
    .await;
    assert_eq!(rows(c, "select t.tasks()").await, ["a 0 started 1", "b 0 started 1"]);
    assert_eq!(value(c, "(t.hidden('a') between 92 and 102, t.hidden('b') between 492 and 502)").await, "(t,t)");
    let marks = "select bool_and(last_worker_id = t.worker() and started_at >= queued_at) from pgflow.step_tasks";
    assert_eq!(value(c, marks).await, "true");
}

#[tokio::test]
async fn only_queued_tasks_of_running_steps_are_started() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.add_step('f', 'b');
         select pgflow.create_flow('g'); select pgflow.add_step('g', 'a');
         select pgflow.start_flow('f', '{}', t.id(1)); select pgflow.start_flow('f', '{}', t.id(2));
         create table all_ids as select array_agg(message_id) || array[null, 0, -1, 999999] || array_agg(message_id) as ids
         from pgflow.step_tasks where run_id = t.id(1)",
    )
    .await;
    let start = "select r.step_slug from all_ids, pgflow.start_tasks('f', ids, t.worker()) r order by 1";
    assert_eq!(rows(c, "select r.step_slug from all_ids, pgflow.start_tasks('g', ids, t.worker()) r").await, [""; 0]);
    assert_eq!(rows(c, start).await, ["a", "b"], "each once, though named twice");
    assert_eq!(rows(c, start).await, [""; 0], "both are started");
    assert_eq!(rows(c, "select t.tasks()").await, ["a 0 started 1", "b 0 started 1"]);

    // The run fails after a worker has read its messages.
    run(c, "create table read as select array_agg(msg_id) as ids from pgmq.read('f', 30, 10); select pgflow.cancel_run(t.id(2))").await;
    assert_eq!(rows(c, "select r.step_slug from read, pgflow.start_tasks('f', ids, t.worker()) r").await, [""; 0]);
    assert_eq!(rows(c, "select t.tasks(2)").await, ["a 0 queued 0", "b 0 queued 0"]);
}

#[tokio::test]
async fn start_without_matching_messages_returns_no_rows() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a')").await;
    for arguments in
        ["'f', '{}', t.worker()", "'f', null, t.worker()", "'nope', '{1}', t.worker()", "null, '{1}', t.worker()"]
    {
        let sql = format!("select r.step_slug from pgflow.start_tasks({arguments}) r");
        assert_eq!(rows(c, &sql).await, [""; 0], "{arguments}");
    }
    assert_eq!(rows(c, "select r.step_slug from pgflow.poll_tasks('f', t.worker(), 5) r").await, [""; 0]);
}

#[tokio::test]
async fn unknown_worker_is_refused() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.start_flow('f', '{}', t.id())",
    )
    .await;
    for call in ["pgflow.start_tasks('f', '{1}', gen_random_uuid())", "pgflow.poll_tasks('f', gen_random_uuid())"] {
        assert_eq!(error(c, &format!("select {call}")).await.0, "23503", "{call}");
    }
    assert_eq!(rows(c, "select t.tasks()").await, ["a 0 queued 0"]);
    assert_eq!(value(c, "t.hidden('a') <= 0").await, "true");
}

#[tokio::test]
async fn poll_claims_oldest_visible_tasks_up_to_quantity() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f', timeout => 100); select pgflow.add_step('f', 'm', step_type => 'map');
         select pgflow.start_flow('f', to_jsonb(array(select generate_series(0, 14))), t.id());
         select pgmq.set_vt('f', message_id, 200) from pgflow.step_tasks where task_index = 1",
    )
    .await;
    let poll = |quantity: &str| {
        format!(
            "select string_agg(r.task_index::text, ' ' order by r.task_index) from pgflow.poll_tasks('f', t.worker(){quantity}) r"
        )
    };
    assert_eq!(value(c, &poll(", 2")).await, "0 2");
    assert_eq!(value(c, "t.hidden('m', 2) between 92 and 102").await, "true");
    assert_eq!(value(c, &poll("")).await, "3 4 5 6 7 8 9 10 11 12", "the default quantity is ten");
    assert_eq!(value(c, &poll(", 100")).await, "13 14");
    assert_eq!(value(c, &poll(", 100")).await, "∅");
}

#[tokio::test]
async fn concurrent_workers_claim_distinct_tasks() {
    let (database, mut c) = with_runtime().await;
    run(
        &mut c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'm', step_type => 'map');
         select pgflow.start_flow('f', to_jsonb(array(select generate_series(0, 299))), t.id())",
    )
    .await;
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let mut c = database.connect().await;
        workers.spawn(async move {
            let mut taken = Vec::new();
            loop {
                let batch = rows(&mut c, "select r.task_index from pgflow.poll_tasks('f', t.worker(), 7) r").await;
                if batch.is_empty() {
                    break taken;
                }
                taken.extend(batch.into_iter().map(|index| index.parse::<u32>().unwrap()));
            }
        });
    }
    let mut taken: Vec<u32> = workers.join_all().await.concat();
    taken.sort_unstable();
    assert_eq!(taken, (0..300).collect::<Vec<_>>());
    assert_eq!(
        value(&mut c, "select (min(attempts_count), max(attempts_count)) from pgflow.step_tasks").await,
        "(1,1)"
    );
}

#[tokio::test]
async fn set_vt_batch_hides_and_shows_messages() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgmq.create('q'); select pgmq.send('q', to_jsonb(n)) from generate_series(1, 4) n").await;
    let set = "select concat_ws(' ', v.msg_id, v.message, v.read_ct, v.enqueued_at <= now(),
            round(extract(epoch from v.vt - clock_timestamp()) / 10) * 10)
        from pgflow.set_vt_batch('q', '{1,3,99}', '{100,0,50}') v order by v.msg_id";
    assert_eq!(rows(c, set).await, ["1 1 0 t 100", "3 3 0 t 0"]);
    let visible = "select string_agg(msg_id::text, ' ' order by msg_id) from pgmq.q_q where vt <= clock_timestamp()";
    assert_eq!(value(c, visible).await, "2 3 4");
    assert_eq!(value(c, "select count(*) from pgflow.set_vt_batch('q', '{2,4}', '{100,100}')").await, "2");
    assert_eq!(value(c, "select count(*) from pgflow.set_vt_batch('q', '{2}', '{-5}')").await, "1");
    assert_eq!(value(c, visible).await, "2 3");
}

#[tokio::test]
async fn set_vt_batch_accepts_empty_arrays_and_refuses_unequal_lengths() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgmq.create('q'); select pgmq.send('q', '1')").await;
    for arguments in ["'q', null, null", "'q', '{}', '{}'", "'q', '{1}', null", "'q', null, '{1}'"] {
        assert_eq!(
            value(c, &format!("select count(*) from pgflow.set_vt_batch({arguments})")).await,
            "0",
            "{arguments}"
        );
    }
    for (arguments, message) in [
        ("'q', '{1,2}', '{5}'", "msg_ids length (2) must equal vt_offsets length (1)"),
        ("'q', '{1}', '{5,6,7}'", "msg_ids length (1) must equal vt_offsets length (3)"),
    ] {
        let found = error(c, &format!("select pgflow.set_vt_batch({arguments})")).await;
        assert_eq!(found, ("P0001".to_owned(), message.to_owned()));
    }
}

#[tokio::test]
async fn poll_for_tasks_returns_no_rows() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(
        c,
        "select pgflow.create_flow('f'); select pgflow.add_step('f', 'a'); select pgflow.start_flow('f', '{}', t.id())",
    )
    .await;
    for arguments in ["'f', 30, 5", "'f', 30, 5, 1, 50"] {
        assert_eq!(value(c, &format!("select count(*) from pgflow.poll_for_tasks({arguments})")).await, "0");
    }
    assert_eq!(rows(c, "select t.take()").await, ["a 0 {}"], "the message is still available");
}

#[tokio::test]
async fn worker_function_is_tracked_once() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "select pgflow.track_worker_function('w'); select pgflow.track_worker_function('other')").await;
    run(
        c,
        "update pgflow.worker_functions set updated_at = updated_at - interval '1 day', created_at = created_at - interval '1 day',
             enabled = false, debounce = '9 seconds' where function_name = 'w';
         select pgflow.track_worker_function('w')",
    )
    .await;
    let tracked = "select concat_ws(' ', function_name, enabled, debounce, updated_at > now() - interval '1 hour', created_at > now() - interval '1 hour')
        from pgflow.worker_functions order by function_name";
    assert_eq!(rows(c, tracked).await, ["other t 00:00:06 t t", "w f 00:00:09 t f"]);
}

#[tokio::test]
async fn stopped_worker_is_marked() {
    let (_database, mut c) = with_runtime().await;
    let c = &mut c;
    run(c, "insert into pgflow.workers (worker_id, queue_name, function_name) values (t.id(7), 'f', 'f')").await;
    run(c, "select pgflow.mark_worker_stopped(t.id(7)); select pgflow.mark_worker_stopped(gen_random_uuid())").await;
    let stopped = "select (worker_id = t.id(7), stopped_at is not null) from pgflow.workers order by worker_id";
    assert_eq!(rows(c, stopped).await, ["(t,t)", "(f,f)"]);
}
