//! The format as a table: what keys there are, what they hold, what they mean. The check, the JSON Schema and the
//! documentation are all read from it.

use crate::finding::Code;

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// Text that is not empty.
    Text,
    /// A name of the engine's: letters, digits and underscores, at most this long.
    Slug(usize),
    /// `true` or `false`.
    Bool,
    /// A whole number within bounds, and the code of a finding where it is not.
    Integer(i64, i64, Code),
    /// A duration of at least so many seconds.
    Duration(i64),
    /// One of these words.
    Word(&'static [&'static str]),
    /// An HTTP address, which may have references to the environment in it.
    Url,
    /// An HTTP address, or a mapping with keys of the format.
    UrlOrObject(&'static Object),
    /// Any JSON value.
    Json,
    /// A JSON object that `jsonb @>` is asked for.
    Pattern,
    /// A JSON Schema.
    Schema,
    /// A list of values.
    List(&'static Kind),
    /// A text, or a list of texts.
    TextOrList,
    /// Names that the author chooses, each with a value.
    Map(&'static Kind),
    /// The same, where a name may stand without a value for one with nothing set.
    MapOrEmpty(&'static Kind),
    /// A mapping with keys of the format.
    Object(&'static Object),
    /// Overrides of a whole flow: its keys are checked here, what they hold after it is merged.
    Overrides(&'static Object),
}

/// One key of the format.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// Whether it must be there.
    pub required: bool,
    /// What it means, for editors and documentation.
    pub doc: &'static str,
    /// What its absence means, as JSON.
    pub default: Option<&'static str>,
}

/// A mapping with keys of the format.
#[derive(Debug)]
pub struct Object {
    /// What one is called.
    pub name: &'static str,
    /// Its keys.
    pub fields: &'static [Field],
    /// Keys of which exactly one must be there; empty where there is no such rule.
    pub exactly_one: &'static [&'static str],
}

impl Object {
    /// The field of this name.
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

const fn field(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field { name, kind, required: false, doc, default: None }
}

const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Field {
    Field { name, kind, required: true, doc, default: None }
}

const fn default(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> Field {
    Field { name, kind, required: false, doc, default: Some(default) }
}

/// The longest name of a pgmq queue, and so of a flow with its version's suffix.
pub const MAX_FLOW_SLUG: usize = 47;
/// The longest name of a step.
pub const MAX_STEP_SLUG: usize = 128;

const INT_MAX: i64 = i32::MAX as i64;
const ATTEMPTS: Kind = Kind::Integer(0, INT_MAX, Code::OutOfRange);
const FAILURE_MODE: Kind = Kind::Word(&["skip", "skip-cascade", "fail"]);

const VERSION: Field = default(
    "version",
    Kind::Integer(1, INT_MAX, Code::InvalidVersion),
    "1",
    "Raise it when steps, dependencies or conditions change: runs in flight finish on the old version. Version n > 1 lives in the database as `<flow>_v<n>`.",
);
const DESCRIPTION: Field = field("description", Kind::Text, "What it is for. Shown in reports and graphs.");
const OWNER: Field = field("owner", Kind::Text, "Who answers for the flow. Shown in reports and graphs.");
const LABELS: Field =
    field("labels", Kind::Map(&Kind::Text), "Free labels, name to text. Shown in reports and graphs.");
const INPUT: Field =
    field("input", Kind::Schema, "JSON Schema of the run's input. The inputs of triggers are checked against it.");
const DEFAULTS: Field = field("defaults", Kind::Object(&OPTIONS), "Options that every step inherits.");
static A_STEP: Kind = Kind::Object(&STEP);
const STEPS: Field = required(
    "steps",
    Kind::MapOrEmpty(&A_STEP),
    "The steps by name. Their order in the file is kept where dependencies allow it.",
);
const TRIGGERS: &str = "What starts runs: schedules, changes of tables, events of queues.";
const MAX_ATTEMPTS: &str =
    "How often a task is tried, the first time included: 1 means no retry, and 0 means the same as 1.";
const BASE_DELAY: &str = "How long to wait before the first retry; doubled for each one after it.";
const TIMEOUT: &str = "How long a task may take before it is given to another worker.";

/// A whole document.
pub static FLOW: Object = Object {
    name: "flow",
    fields: &[
        required(
            "flow",
            Kind::Slug(MAX_FLOW_SLUG),
            "The flow's name: letters, digits and underscores, not beginning with a digit. It also names the flow's queue.",
        ),
        VERSION,
        DESCRIPTION,
        OWNER,
        LABELS,
        INPUT,
        DEFAULTS,
        STEPS,
        field("triggers", Kind::List(&Kind::Object(&TRIGGER)), TRIGGERS),
        field(
            "environments",
            Kind::Map(&Kind::Overrides(&OVERRIDES)),
            "Overrides by name of environment, merged key by key; triggers by their name. `null` takes a key away.",
        ),
    ],
    exactly_one: &[],
};

/// What an environment may override.
pub static OVERRIDES: Object = Object {
    name: "environment",
    fields: &[
        DESCRIPTION,
        OWNER,
        LABELS,
        INPUT,
        DEFAULTS,
        Field { required: false, ..STEPS },
        field("triggers", Kind::List(&Kind::Object(&TRIGGER_OVERRIDES)), TRIGGERS),
    ],
    exactly_one: &[],
};

/// A flow's options.
pub static OPTIONS: Object = Object {
    name: "defaults",
    fields: &[
        default("max_attempts", ATTEMPTS, "3", MAX_ATTEMPTS),
        default("base_delay", Kind::Duration(0), "5", BASE_DELAY),
        default("timeout", Kind::Duration(1), "60", TIMEOUT),
    ],
    exactly_one: &[],
};

/// One step.
pub static STEP: Object = Object {
    name: "step",
    fields: &[
        DESCRIPTION,
        field(
            "handler",
            Kind::Object(&HANDLER),
            "What flowsmith's own worker runs for a task; leave it out where another worker does the work.",
        ),
        field(
            "depends_on",
            Kind::List(&Kind::Slug(MAX_STEP_SLUG)),
            "Steps whose outputs this one waits for and gets as its input.",
        ),
        field(
            "map",
            Kind::Slug(MAX_STEP_SLUG),
            "One task per element of the output of this step; `run` = of the run's input, which must be an array.",
        ),
        field(
            "if",
            Kind::Pattern,
            "Run only where this object is contained (`jsonb @>`) in the run's input, or, for a step with dependencies, in `{dependency: output}`.",
        ),
        field("if_not", Kind::Pattern, "Run only where this object is not contained; matched as `if` is."),
        default(
            "when_unmet",
            FAILURE_MODE,
            "\"skip\"",
            "Where `if` or `if_not` is not met: skip the step, skip it and all that depends on it, or fail the run.",
        ),
        default(
            "when_exhausted",
            FAILURE_MODE,
            "\"fail\"",
            "Where the last attempt has failed: fail the run, skip the step, or skip it and all that depends on it.",
        ),
        field("max_attempts", ATTEMPTS, MAX_ATTEMPTS),
        field("base_delay", Kind::Duration(0), BASE_DELAY),
        field("timeout", Kind::Duration(1), TIMEOUT),
        field("start_delay", Kind::Duration(0), "How long to wait once the step is ready."),
        field("output", Kind::Schema, "JSON Schema of the step's output."),
    ],
    exactly_one: &[],
};

/// What a worker of ours runs.
pub static HANDLER: Object = Object {
    name: "handler",
    fields: &[
        field(
            "sql",
            Kind::Text,
            "A query whose one value is the output; `:input` is the task's input, `:run_id` its run, `:task_index` its place in a map, `:attempt` which attempt it is. It and the task's completion are one transaction.",
        ),
        field(
            "exec",
            Kind::TextOrList,
            "A program: the input comes on its standard input as JSON, the output is what it prints. A text is run by the shell, a list is program and arguments.",
        ),
        field(
            "http",
            Kind::UrlOrObject(&HTTP),
            "An address to which the input is posted as JSON, or `url` with `method` and `headers`; the answer's body is the output.",
        ),
    ],
    exactly_one: &["sql", "exec", "http"],
};

/// What an `http` handler sends.
pub static HTTP: Object = Object {
    name: "http",
    fields: &[
        required("url", Kind::Url, "The address. `${env:NAME}` stands for an environment variable of the worker."),
        default("method", Kind::Word(METHODS), "\"POST\"", "The method; `GET` sends no body."),
        field(
            "headers",
            Kind::Map(&Kind::Text),
            "Headers by name. `${env:NAME}` stands for an environment variable of the worker: the place for secrets.",
        ),
    ],
    exactly_one: &[],
};

/// The methods of an `http` handler.
pub const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE"];

/// The keys that make a trigger what it is.
pub const TRIGGER_KINDS: &[&str] = &["cron", "table", "queue"];
/// The keys that mean something for some kinds of triggers only.
pub const TRIGGER_SPECIAL_KEYS: &[&str] = &["input", "on", "when", "input_sql", "strict"];
/// The changes of a table.
pub const TABLE_EVENTS: &[&str] = &["insert", "update", "delete"];

const TRIGGER_FIELDS: &[Field] = &[
    required("name", Kind::Slug(MAX_FLOW_SLUG), "The trigger's name, unique in the flow."),
    field("cron", Kind::Text, "A schedule of pg_cron: five fields, `@daily` and the like, or `N seconds`."),
    field("table", Kind::Text, "A table, with its schema: every change listed under `on` starts a run."),
    field("queue", Kind::Text, "A queue, as `pgq:<name>` or `pgmq:<name>`: every event starts a run, exactly once."),
    default("input", Kind::Json, "{}", "The run's input, for a schedule or a table."),
    default("on", Kind::List(&Kind::Word(TABLE_EVENTS)), "[\"insert\"]", "Which changes of the table start a run."),
    field("when", Kind::Text, "An SQL condition on `new` and `old`: only changes that meet it start a run."),
    field(
        "input_sql",
        Kind::Text,
        "An SQL expression for the run's input: on `new` and `old` for a table, on `event` for a queue.",
    ),
    default(
        "strict",
        Kind::Bool,
        "false",
        "Whether a run that cannot be started fails the change of the table, rather than being reported as a warning.",
    ),
    DESCRIPTION,
];

/// What starts runs.
pub static TRIGGER: Object = Object { name: "trigger", fields: TRIGGER_FIELDS, exactly_one: TRIGGER_KINDS };

/// Overrides of a trigger, found by its name.
pub static TRIGGER_OVERRIDES: Object = Object { name: "trigger_overrides", fields: TRIGGER_FIELDS, exactly_one: &[] };
