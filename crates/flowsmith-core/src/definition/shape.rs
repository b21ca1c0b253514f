//! The format as a table of keys with their types and descriptions. The check, the JSON Schema and the documentation are all
//! derived from it.

use crate::finding::Code;

/// The type of a value.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// A non-empty string.
    Text,
    /// A name that the engine accepts: letters, digits and underscores, with this maximum length.
    Slug(usize),
    /// `true` or `false`.
    Bool,
    /// An integer between two bounds, and the code of the finding for any other integer.
    Integer(i64, i64, Code),
    /// A duration with this minimum, in seconds.
    Duration(i64),
    /// One of these strings.
    Word(&'static [&'static str]),
    /// An HTTP URL, which may contain references to environment variables.
    Url,
    /// An HTTP URL, or an object.
    UrlOrObject(&'static Object),
    /// Any JSON value.
    Json,
    /// A JSON object, compared with `jsonb @>`.
    Pattern,
    /// A JSON Schema.
    Schema,
    /// A list of values.
    List(&'static Kind),
    /// A string or a list of strings.
    TextOrList,
    /// A mapping from names that the author chooses to values.
    Map(&'static Kind),
    /// As [`Kind::Map`], but non-empty, and with `null` allowed as the value of a name without settings.
    MapOrEmpty(&'static Kind),
    /// A mapping with the keys of an [`Object`].
    Object(&'static Object),
    /// Overrides of a flow. Their keys are checked as written, their values after the merge.
    Overrides(&'static Object),
}

/// A key of the format.
#[derive(Debug, Clone, Copy)]
pub struct Field {
    /// The key.
    pub name: &'static str,
    /// The type of its value.
    pub kind: Kind,
    /// Whether the key is required.
    pub required: bool,
    /// The description, for editors and documentation. Its first phrase is a noun phrase, which findings quote.
    pub doc: &'static str,
    /// The default as JSON; `None` if there is no default.
    pub default: Option<&'static str>,
}

/// A mapping with a fixed set of keys.
#[derive(Debug)]
pub struct Object {
    /// The name in findings and in the `$defs` of the JSON Schema.
    pub name: &'static str,
    /// The keys.
    pub fields: &'static [Field],
    /// The keys of which exactly one is required; empty if there is no such rule.
    pub exactly_one: &'static [&'static str],
}

impl Object {
    /// The field with this key.
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

/// The maximum length of a flow name with its version suffix: pgmq's limit for the name of a queue.
pub const MAX_FLOW_SLUG: usize = 47;
/// The maximum length of a step name, from `pgflow.is_valid_slug`.
pub const MAX_STEP_SLUG: usize = 128;

const INT_MAX: i64 = i32::MAX as i64;
const ATTEMPTS: Kind = Kind::Integer(0, INT_MAX, Code::OutOfRange);
const FAILURE_MODE: Kind = Kind::Word(&["skip", "skip-cascade", "fail"]);

const VERSION: Field = default(
    "version",
    Kind::Integer(1, INT_MAX, Code::InvalidVersion),
    "1",
    "The flow's version. Raise it when steps, dependencies or conditions change: running runs finish on the old version. In the database, version n > 1 is named `<flow>_v<n>`.",
);
const DESCRIPTION: Field = field("description", Kind::Text, "A description, shown in reports and graphs.");
const OWNER: Field =
    field("owner", Kind::Text, "The person or team responsible for the flow, shown in reports and graphs.");
const LABELS: Field =
    field("labels", Kind::Map(&Kind::Text), "Labels of any name and content, shown in reports and graphs.");
const INPUT: Field =
    field("input", Kind::Schema, "The JSON Schema of the run's input. The inputs of triggers are checked against it.");
const DEFAULTS: Field = field("defaults", Kind::Object(&OPTIONS), "The options that every step inherits.");
static A_STEP: Kind = Kind::Object(&STEP);
const STEPS: Field = required(
    "steps",
    Kind::MapOrEmpty(&A_STEP),
    "The steps by name. Their order in the file is kept as far as dependencies allow.",
);
const TRIGGERS: &str = "The triggers that start runs: schedules, changes of tables, events of queues.";
const MAX_ATTEMPTS: &str = "The number of attempts for a task, including the first: 1 means no retry, as does 0.";
const BASE_DELAY: &str = "The delay before the first retry. It doubles with each further retry.";
const TIMEOUT: &str = "The time limit for a task, after which another worker can claim it.";

/// A document.
pub static FLOW: Object = Object {
    name: "flow",
    fields: &[
        required(
            "flow",
            Kind::Slug(MAX_FLOW_SLUG),
            "The flow's name: letters, digits and underscores, not beginning with a digit. The flow's queue has the same name.",
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
            "Overrides by environment, merged key by key, and triggers by name. `null` removes a key.",
        ),
    ],
    exactly_one: &[],
};

/// The overrides of an environment: every key of a flow but those of its identity.
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

/// The options that steps inherit.
pub static OPTIONS: Object = Object {
    name: "defaults",
    fields: &[
        default("max_attempts", ATTEMPTS, "3", MAX_ATTEMPTS),
        default("base_delay", Kind::Duration(0), "5", BASE_DELAY),
        default("timeout", Kind::Duration(1), "60", TIMEOUT),
    ],
    exactly_one: &[],
};

/// A step.
pub static STEP: Object = Object {
    name: "step",
    fields: &[
        DESCRIPTION,
        field(
            "handler",
            Kind::Object(&HANDLER),
            "The handler that flowsmith's worker runs for a task. Leave it out if another worker processes the step.",
        ),
        field(
            "depends_on",
            Kind::List(&Kind::Slug(MAX_STEP_SLUG)),
            "The steps that this step waits for. Their outputs are its input.",
        ),
        field(
            "map",
            Kind::Slug(MAX_STEP_SLUG),
            "The step to map: one task is created per element of its output, an array. `run` stands for the run's input.",
        ),
        field(
            "if",
            Kind::Pattern,
            "A condition: the step runs only if its input contains this object (`jsonb @>`). The input is the run's input or, for a step with dependencies, `{dependency: output}`.",
        ),
        field(
            "if_not",
            Kind::Pattern,
            "A negative condition: the step runs only if its input does not contain this object.",
        ),
        default(
            "when_unmet",
            FAILURE_MODE,
            "\"skip\"",
            "The effect of an unmet `if` or `if_not`: skip the step, skip it with all its dependents, or fail the run.",
        ),
        default(
            "when_exhausted",
            FAILURE_MODE,
            "\"fail\"",
            "The effect of a failed last attempt: fail the run, skip the step, or skip it with all its dependents.",
        ),
        field("max_attempts", ATTEMPTS, MAX_ATTEMPTS),
        field("base_delay", Kind::Duration(0), BASE_DELAY),
        field("timeout", Kind::Duration(1), TIMEOUT),
        field("start_delay", Kind::Duration(0), "The delay between the step being ready and its start."),
        field("output", Kind::Schema, "The JSON Schema of the step's output."),
    ],
    exactly_one: &[],
};

/// A handler of flowsmith's worker.
pub static HANDLER: Object = Object {
    name: "handler",
    fields: &[
        field(
            "sql",
            Kind::Text,
            "A query that returns one value, the output. Its parameters are `:input`, the task's input, `:run_id`, `:task_index`, the index in a map, and `:attempt`. It runs in one transaction with the completion of the task.",
        ),
        field(
            "exec",
            Kind::TextOrList,
            "A program that reads the input as JSON from its standard input and prints the output. A string is a shell command, a list a program with its arguments.",
        ),
        field(
            "http",
            Kind::UrlOrObject(&HTTP),
            "A URL to post the input to as JSON, or `url` with `method` and `headers`. The body of the response is the output.",
        ),
    ],
    exactly_one: &["sql", "exec", "http"],
};

/// The request of an `http` handler.
pub static HTTP: Object = Object {
    name: "http",
    fields: &[
        required(
            "url",
            Kind::Url,
            "The URL. `${env:NAME}` is replaced with the value of the worker's environment variable.",
        ),
        default("method", Kind::Word(METHODS), "\"POST\"", "The HTTP method. `GET` sends no body."),
        field(
            "headers",
            Kind::Map(&Kind::Text),
            "The headers by name. `${env:NAME}` is replaced with the value of the worker's environment variable; use it for secrets.",
        ),
    ],
    exactly_one: &[],
};

/// The methods of an `http` handler.
pub const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE"];

/// The keys that determine the kind of a trigger.
pub const TRIGGER_KINDS: &[&str] = &["cron", "table", "queue"];
/// The keys that only some kinds of triggers accept.
pub const TRIGGER_SPECIAL_KEYS: &[&str] = &["input", "on", "when", "input_sql", "strict"];
/// The events of a table trigger.
pub const TABLE_EVENTS: &[&str] = &["insert", "update", "delete"];

const TRIGGER_FIELDS: &[Field] = &[
    required("name", Kind::Slug(MAX_FLOW_SLUG), "The trigger's name, unique in the flow."),
    field("cron", Kind::Text, "A schedule of pg_cron: five fields, a name such as `@daily`, or `N seconds`."),
    field("table", Kind::Text, "A table with its schema. Each change listed under `on` starts a run."),
    field("queue", Kind::Text, "A queue, as `pgq:<name>` or `pgmq:<name>`. Each event starts exactly one run."),
    default("input", Kind::Json, "{}", "The run's input, for a schedule or a table."),
    default("on", Kind::List(&Kind::Word(TABLE_EVENTS)), "[\"insert\"]", "The changes of the table that start a run."),
    field("when", Kind::Text, "An SQL condition on `new` and `old`. Only changes that meet it start a run."),
    field(
        "input_sql",
        Kind::Text,
        "An SQL expression that computes the run's input, from `new` and `old` for a table and from `event` for a queue.",
    ),
    default(
        "strict",
        Kind::Bool,
        "false",
        "Whether the change of the table fails if the run cannot be started. Otherwise the failure is a warning.",
    ),
    DESCRIPTION,
];

/// A trigger.
pub static TRIGGER: Object = Object { name: "trigger", fields: TRIGGER_FIELDS, exactly_one: TRIGGER_KINDS };

/// Overrides of a trigger, merged by its name.
pub static TRIGGER_OVERRIDES: Object = Object { name: "trigger_overrides", fields: TRIGGER_FIELDS, exactly_one: &[] };
