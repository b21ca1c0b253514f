//! The settings that a transaction fixes, because they can change an answer, and that any role may set.
//!
//! Left out, by reason:
//!
//! - Only a superuser may set them: `session_replication_role`, `lc_messages`, `plpgsql.variable_conflict` (no name in our
//!   functions is ambiguous, or the default would refuse it), `lo_compat_privileges`, `track_activities`.
//! - The connection sets them in its start-up message, and poolers keep them: `client_encoding`, and also `DateStyle` and
//!   `TimeZone`, which are fixed here all the same for poolers that do not.
//! - They decide where and how safely data is stored, which is the administrator's choice and changes no answer:
//!   `default_tablespace`, `default_table_access_method`, `default_toast_compression`, `temp_tablespaces`,
//!   `synchronous_commit`.
//! - They choose among plans with the same result: `enable_*`, `*_cost`, `work_mem`, `from_collapse_limit`,
//!   `plan_cache_mode`, `max_parallel_*`. A query for which one of them matters sets it itself.
//! - No SQL of ours depends on them: `xmlbinary`, `xmloption`, `lc_monetary`, `lc_numeric`, `lc_time`,
//!   `default_text_search_config`, `gin_fuzzy_search_limit` (no index is a GIN index), `backslash_quote` and
//!   `escape_string_warning` (literals double their quotes), `createrole_self_grant`, `password_encryption`.
//! - `default_transaction_isolation`, `…_read_only` and `…_deferrable`: `begin` names the isolation level and the access.
//! - `idle_session_timeout` counts outside of transactions; a worker reconnects.
//! - `restrict_nonsystem_relation_kind` exists since minor releases of 2024 only; it turns a read into an error.

/// A setting with its value.
pub(super) struct Setting {
    pub(super) name: &'static str,
    /// As SQL.
    pub(super) value: &'static str,
    pub(super) used: Use,
}

/// Which transactions depend on a setting.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// All of them.
    EveryCall,
    /// Those that do more than call functions of the engine.
    Else,
}

const fn setting(used: Use, name: &'static str, value: &'static str) -> Setting {
    Setting { name, value, used }
}

/// The settings in the order in which they are set. `search_path` is never empty: PostgreSQL would then look for types in
/// `pg_temp` first.
pub(super) const SETTINGS: &[Setting] = &[
    setting(Use::EveryCall, "search_path", "pg_catalog, pg_temp"),
    // How the bodies of functions are read.
    setting(Use::EveryCall, "standard_conforming_strings", "on"),
    setting(Use::EveryCall, "extra_float_digits", "1"),
    // An error ends the statement, not the session.
    setting(Use::EveryCall, "exit_on_error", "off"),
    setting(Use::Else, "datestyle", "iso, mdy"),
    setting(Use::Else, "intervalstyle", "postgres"),
    setting(Use::Else, "timezone", "'UTC'"),
    setting(Use::Else, "bytea_output", "hex"),
    setting(Use::Else, "quote_all_identifiers", "off"),
    setting(Use::Else, "array_nulls", "on"),
    setting(Use::Else, "transform_null_equals", "off"),
    // Off turns a row policy into an error.
    setting(Use::Else, "row_security", "on"),
    setting(Use::Else, "check_function_bodies", "on"),
    setting(Use::Else, "plpgsql.extra_errors", "none"),
    setting(Use::Else, "plpgsql.extra_warnings", "none"),
    setting(Use::Else, "client_min_messages", "warning"),
    // A transaction of several messages waits for the program in between.
    setting(Use::Else, "idle_in_transaction_session_timeout", "0"),
    // Compiling our queries takes longer than executing them.
    setting(Use::Else, "jit", "off"),
];
