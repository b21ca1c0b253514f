//! The SQL statements of a worker, one file each. Values are inserted as quoted literals and the statements are never prepared,
//! because a prepared statement does not survive a transaction pooler.

use std::sync::LazyLock;

use flowsmith_core::sql::Statement;

macro_rules! statements {
    ($($name:ident = $file:literal;)*) => {
        $(pub(super) static $name: LazyLock<Statement> = LazyLock::new(|| {
            Statement::parse(include_str!(concat!("../sql/", $file))).expect("the embedded SQL is valid")
        });)*
    };
}

statements! {
    STEPS = "steps.sql";
    REGISTER = "register.sql";
    UNREGISTER = "unregister.sql";
    HEARTBEAT = "heartbeat.sql";
    POLL_TASKS = "poll_tasks.sql";
    READ_MESSAGES = "read_messages.sql";
    START_TASKS = "start_tasks.sql";
    BEGIN_TASK = "begin_task.sql";
    COMPLETE_TASKS = "complete_tasks.sql";
    COMPLETE_TASK = "complete_task.sql";
    COMPLETION_STATUS = "completion_status.sql";
    FAIL_ATTEMPT = "fail_attempt.sql";
    FAIL_PERMANENTLY = "fail_permanently.sql";
    RETURN_TASKS = "return_tasks.sql";
    CLAIMED_TASKS = "claimed_tasks.sql";
    REQUEUE_STALLED = "requeue_stalled.sql";
    UNSERVED_RUNS = "unserved_runs.sql";
    MISSING_QUEUES = "missing_queues.sql";
}
