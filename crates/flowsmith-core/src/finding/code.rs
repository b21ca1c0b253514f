//! The codes of the findings. A code is stable: its meaning never changes, and the code of a removed rule is not reused.

use std::fmt;

/// Whether a finding stops compilation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The flow cannot be compiled.
    Error,
    /// The flow can be compiled, but probably does not do what its author intended.
    Warning,
}

impl Severity {
    /// The word used in reports: `error` or `warning`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

macro_rules! codes {
    ($($name:ident = $code:literal, $severity:ident, $title:literal;)*) => {
        /// The rule that a finding violates.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// Every code, in numerical order.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as printed, such as `FS301`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// The severity of every finding with this code.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity),* }
            }

            /// A short name for the problem; also the title of the code's page.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }
        }
    };
}

codes! {
    Unreadable = "FS001", Error, "unreadable file or folder";
    FolderLoop = "FS002", Error, "folder reached twice";
    TooLarge = "FS003", Error, "file too large";
    NotUtf8 = "FS004", Error, "invalid UTF-8";
    NulCharacter = "FS005", Error, "NUL character";
    EmptyFile = "FS006", Error, "empty flow file";
    Syntax = "FS007", Error, "syntax error";
    TooDeep = "FS008", Error, "nesting too deep";
    AliasBomb = "FS009", Error, "alias expansion too large";
    DuplicateKey = "FS010", Error, "duplicate key";
    Tag = "FS011", Error, "unsupported YAML tag";
    MergeKey = "FS012", Error, "unsupported YAML merge key";
    InexactNumber = "FS013", Error, "number without an exact representation";
    KeyNotText = "FS014", Error, "key that is not a string";
    DateTime = "FS015", Error, "unsupported TOML date or time";
    TooManyFindings = "FS016", Error, "too many findings in one file";
    NoFlowFiles = "FS017", Warning, "no flow files";
    UnknownKey = "FS101", Error, "unknown key";
    MissingKey = "FS102", Error, "missing key";
    WrongType = "FS103", Error, "value of the wrong type";
    UnknownWord = "FS104", Error, "unknown value";
    Duration = "FS105", Error, "invalid duration";
    ExactlyOne = "FS106", Error, "exactly one key required";
    MisplacedKey = "FS107", Error, "misplaced key";
    EmptyText = "FS108", Error, "empty string";
    InvalidSchema = "FS109", Error, "invalid JSON Schema";
    InvalidUrl = "FS110", Error, "invalid HTTP URL";
    BrokenReference = "FS111", Error, "invalid reference to an environment variable";
    UnknownParameter = "FS112", Error, "unknown query parameter";
    NotAQuery = "FS113", Error, "invalid handler query";
    InvalidHeader = "FS114", Error, "invalid HTTP header";
    InvalidSlug = "FS201", Error, "invalid name";
    ReservedSlug = "FS202", Error, "reserved name";
    LongSlug = "FS203", Error, "name too long";
    Underscores = "FS204", Warning, "reserved underscores in a name";
    DuplicateFlow = "FS205", Error, "duplicate flow version";
    CaseCollision = "FS206", Error, "flow names that differ only in case";
    VersionCollision = "FS207", Error, "flow names that collide in the database";
    DuplicateTrigger = "FS208", Error, "duplicate trigger name";
    InvalidVersion = "FS209", Error, "invalid version";
    UnknownEnvironment = "FS210", Error, "unknown environment";
    TooManyEnvironments = "FS211", Error, "too many environments";
    UnknownDependency = "FS301", Error, "unknown dependency";
    SelfDependency = "FS302", Error, "step that depends on itself";
    Cycle = "FS303", Error, "dependency cycle";
    DuplicateDependency = "FS304", Error, "duplicate dependency";
    MapSources = "FS305", Error, "map step with another dependency";
    MapInput = "FS306", Error, "map over an input that is not an array";
    MapOutput = "FS307", Error, "map over an output that is not an array";
    NoSteps = "FS308", Error, "flow without steps";
    PatternNotObject = "FS401", Error, "condition that is not an object";
    PatternKey = "FS402", Error, "condition on a step that is not a dependency";
    WhenUnmetAlone = "FS403", Warning, "`when_unmet` without a condition";
    PatternOnArray = "FS404", Error, "condition on an array";
    NeverMet = "FS405", Error, "condition that is never met";
    OutOfRange = "FS501", Error, "number out of range";
    LongRetry = "FS502", Warning, "retry delay longer than a week";
    ZeroAttempts = "FS503", Warning, "zero attempts";
    InvalidCron = "FS601", Error, "invalid cron schedule";
    NeverFires = "FS602", Error, "schedule that never fires";
    TriggerInput = "FS603", Error, "trigger input that the flow does not accept";
    InvalidTable = "FS604", Error, "invalid table name";
    UnqualifiedTable = "FS605", Warning, "table name without a schema";
    InvalidQueue = "FS606", Error, "invalid queue";
    DuplicateEvent = "FS607", Error, "duplicate table event";
    InvalidExpression = "FS608", Error, "invalid SQL expression";
    NoEvents = "FS609", Error, "table trigger without events";
    EngineLevel = "FS701", Error, "feature missing from the engine level";
}

impl Code {
    /// The path of the code's documentation page, relative to the root of the repository.
    pub fn page(self) -> String {
        format!("docs/findings/{}.md", self.as_str())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
