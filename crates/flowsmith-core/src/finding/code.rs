//! The table of every finding's code. A code is stable: it never changes its meaning and is never used again.

use std::fmt;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The flow cannot be compiled.
    Error,
    /// The flow can be compiled, but hardly means what it says.
    Warning,
}

impl Severity {
    /// The word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

macro_rules! codes {
    ($($name:ident = $code:literal, $severity:ident, $title:literal;)*) => {
        /// What a finding is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// Every code, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as printed, such as `FS301`.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $code),* }
            }

            /// How bad a finding with this code is.
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity),* }
            }

            /// What is wrong, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title),* }
            }
        }
    };
}

codes! {
    Unreadable = "FS001", Error, "a file or folder cannot be read";
    FolderLoop = "FS002", Error, "a folder is reached twice";
    TooLarge = "FS003", Error, "a file is too large";
    NotUtf8 = "FS004", Error, "a file is not UTF-8";
    NulCharacter = "FS005", Error, "a NUL character";
    EmptyFile = "FS006", Error, "a file without a flow";
    Syntax = "FS007", Error, "a syntax error";
    TooDeep = "FS008", Error, "nesting is too deep";
    AliasBomb = "FS009", Error, "aliases expand to too much";
    DuplicateKey = "FS010", Error, "a key is written twice";
    Tag = "FS011", Error, "a YAML tag";
    MergeKey = "FS012", Error, "a YAML merge key";
    InexactNumber = "FS013", Error, "a number that cannot be held exactly";
    KeyNotText = "FS014", Error, "a key that is not text";
    DateTime = "FS015", Error, "a TOML date or time";
    TooManyFindings = "FS016", Error, "too many findings in one file";
    NoFlowFiles = "FS017", Warning, "a folder without flow files";
    UnknownKey = "FS101", Error, "an unknown key";
    MissingKey = "FS102", Error, "a required key is missing";
    WrongType = "FS103", Error, "a value of the wrong type";
    UnknownWord = "FS104", Error, "a word that is not one of the choices";
    Duration = "FS105", Error, "not a duration";
    ExactlyOne = "FS106", Error, "exactly one of several keys is needed";
    MisplacedKey = "FS107", Error, "a key that does not apply here";
    EmptyText = "FS108", Error, "an empty text";
    InvalidSchema = "FS109", Error, "not a JSON Schema";
    InvalidUrl = "FS110", Error, "not an HTTP address";
    BrokenReference = "FS111", Error, "not a reference to an environment variable";
    UnknownParameter = "FS112", Error, "an unknown parameter of a query";
    NotAQuery = "FS113", Error, "not one query";
    InvalidHeader = "FS114", Error, "not an HTTP header";
    InvalidSlug = "FS201", Error, "not a valid name";
    ReservedSlug = "FS202", Error, "the reserved name `run`";
    LongSlug = "FS203", Error, "a name that is too long";
    Underscores = "FS204", Warning, "underscores that newer engines reserve";
    DuplicateFlow = "FS205", Error, "the same version of a flow twice";
    CaseCollision = "FS206", Error, "two flows that differ only in case";
    VersionCollision = "FS207", Error, "two flows with one name in the database";
    DuplicateTrigger = "FS208", Error, "two triggers with one name";
    InvalidVersion = "FS209", Error, "not a version";
    UnknownEnvironment = "FS210", Error, "an environment that no flow declares";
    TooManyEnvironments = "FS211", Error, "too many environments";
    UnknownDependency = "FS301", Error, "an unknown dependency";
    SelfDependency = "FS302", Error, "a step that depends on itself";
    Cycle = "FS303", Error, "steps that wait for each other";
    DuplicateDependency = "FS304", Error, "a dependency listed twice";
    MapSources = "FS305", Error, "a map with more than one source";
    MapInput = "FS306", Error, "a map over an input that is not an array";
    MapOutput = "FS307", Error, "a map over an output that is not an array";
    NoSteps = "FS308", Error, "a flow without steps";
    PatternNotObject = "FS401", Error, "a pattern that is not an object";
    PatternKey = "FS402", Error, "a pattern that names no dependency";
    WhenUnmetAlone = "FS403", Warning, "`when_unmet` without a condition";
    PatternOnArray = "FS404", Error, "a pattern on the input of a flow that takes an array";
    NeverMet = "FS405", Error, "a condition that is never met";
    OutOfRange = "FS501", Error, "a number out of range";
    LongRetry = "FS502", Warning, "a retry delay longer than a week";
    ZeroAttempts = "FS503", Warning, "zero attempts";
    InvalidCron = "FS601", Error, "not a cron schedule";
    NeverFires = "FS602", Error, "a schedule that never fires";
    TriggerInput = "FS603", Error, "a trigger whose input the flow refuses";
    InvalidTable = "FS604", Error, "not a table's name";
    UnqualifiedTable = "FS605", Warning, "a table without its schema";
    InvalidQueue = "FS606", Error, "not a queue";
    DuplicateEvent = "FS607", Error, "an event listed twice";
    InvalidExpression = "FS608", Error, "not one SQL expression";
    NoEvents = "FS609", Error, "a table trigger without a change to listen to";
    EngineLevel = "FS701", Error, "a feature that the engine lacks";
}

impl Code {
    /// The code's page in the documentation, from the repository's root.
    pub fn page(self) -> String {
        format!("docs/findings/{}.md", self.as_str())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
