//! The registry of codes, of findings and errors alike. A code is stable: it never changes its meaning and is never reused.

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
    (
        findings { $($finding:ident = $finding_code:literal, $finding_severity:ident, $finding_title:literal;)* }
        errors { $($error:ident = $error_code:literal, $error_severity:ident, $error_title:literal;)* }
    ) => {
        codes! {
            @all
            $($finding = $finding_code, $finding_severity, $finding_title;)*
            $($error = $error_code, $error_severity, $error_title;)*
        }

        impl Code {
            /// The codes of findings: problems of flow files that `check` reports.
            pub const FINDINGS: &[Self] = &[$(Self::$finding),*];
        }
    };
    (@all $($name:ident = $code:literal, $severity:ident, $title:literal;)*) => {
        /// The kind of problem that a finding or an error reports.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $(#[doc = $title] $name,)*
        }

        impl Code {
            /// Every code, in numerical order within findings and errors.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// The code as printed, for example `FS301`.
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
    findings {
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
    errors {
        Io = "FS801", Error, "the operating system refused";
        ForeignMigration = "FS802", Error, "not a migration of flowsmith's";
        SameVersion = "FS803", Error, "two migrations of one version";
        SumMismatch = "FS804", Error, "the migrations are not what flowsmith.sum says";
        MalformedMigration = "FS805", Error, "a migration's plan cannot be read";
        DigestMismatch = "FS806", Error, "a definition that does not match its digest";
        ChangeOfUnknownFlow = "FS807", Error, "a change of a flow that no migration made";
        VersionNotNewest = "FS811", Error, "a version that is not the newest";
        MigrationName = "FS812", Error, "not a migration's name";
        DeleteDefinedFlow = "FS813", Error, "deletion of a flow that is still wanted";
        DeleteUnknownFlow = "FS814", Error, "deletion of a flow that no migration made";
        RenamedFlow = "FS815", Error, "a flow of the database under another name";
        SettingsUnreadable = "FS821", Error, "the settings cannot be read";
        InvalidSettings = "FS822", Error, "the settings are not valid";
        DatabaseUrlUnset = "FS823", Error, "the environment's database URL is not set";
        NoDatabase = "FS824", Error, "no database is given";
        NoFlowsFolder = "FS825", Error, "no flows folder";
        PullOverwrites = "FS826", Error, "pull would overwrite flow files";
        MigrationsBehind = "FS827", Error, "the migrations are behind the flow files";
        CheckAborted = "FS828", Error, "the check broke off";
        PullPending = "FS829", Error, "pull with pending migrations";
        UndefinedEnvironment = "FS830", Error, "an environment that the settings do not have";
        PullInvalidFlow = "FS831", Error, "pull would adopt a wrong flow";
        InvalidDatabaseUrl = "FS901", Error, "not a database URL";
        DatabaseUnreachable = "FS902", Error, "the database cannot be reached";
        AuthenticationFailed = "FS903", Error, "the database refused the user";
        DatabaseMissing = "FS904", Error, "the database does not exist";
        PermissionDenied = "FS905", Error, "a right is missing";
        LockTimeout = "FS906", Error, "a lock was not granted in time";
        StatementCancelled = "FS907", Error, "a statement was cancelled";
        ConnectionLost = "FS908", Error, "the connection was lost";
        EngineMissing = "FS909", Error, "no engine, or one that lacks a feature";
        GuardRefused = "FS910", Error, "refused by a guard in the database";
        StateMismatch = "FS911", Error, "the database does not hold what was meant";
        StatementFailed = "FS912", Error, "the database refused a statement";
        ApplyLocked = "FS913", Error, "another apply holds the lock";
        Drifted = "FS914", Error, "the database has drifted";
        MigrationEdited = "FS915", Error, "a migration changed after it ran";
        MigrationMissing = "FS916", Error, "a migration that ran is not in the folder";
        MigrationOutOfOrder = "FS917", Error, "a migration out of order";
        EngineIncomplete = "FS918", Error, "half an engine";
        LedgerMissing = "FS919", Error, "no flowsmith schema";
        UnreadableAnswer = "FS920", Error, "an answer that flowsmith cannot read";
        ServerTooOld = "FS921", Error, "the server is too old";
        PgmqTooOld = "FS922", Error, "pgmq is too old";
        EngineEdited = "FS923", Error, "the engine was installed from another text";
        PgmqInstallFailed = "FS924", Error, "pgmq could not be installed";
        InputStyleFixed = "FS925", Error, "the input style is chosen already";
        TransactionConflict = "FS926", Error, "another transaction came in between";
        RolesOnOfficialEngine = "FS927", Error, "roles for an engine that is not flowsmith's";
        ServerNotFound = "FS931", Error, "no PostgreSQL server was found";
        DownloadMismatch = "FS932", Error, "a download is not what it should be";
        ServerUnusable = "FS933", Error, "the server does not run here";
        NoServerUser = "FS934", Error, "no user to run the server as";
        OtherMajorData = "FS935", Error, "data of another major version";
        ServerLocked = "FS936", Error, "another flowsmith is starting the server";
        ServerFailed = "FS937", Error, "the embedded server failed";
        OtherUsersData = "FS938", Error, "data of another user";
        BenchNoRuntime = "FS951", Error, "the engine cannot run flows";
        BenchNoBatches = "FS952", Error, "the engine cannot process in batches";
        BenchStalled = "FS953", Error, "tasks do not come";
        BenchMiscount = "FS954", Error, "runs are not what they should be";
        BenchInterrupted = "FS955", Error, "stopped before its end";
        BenchLeftovers = "FS956", Error, "flows of a bench are left behind";
        UnknownFlow = "FS961", Error, "no such flow";
        NoCurrentVersion = "FS962", Error, "no version is current";
        InputNotJson = "FS963", Error, "an input that is not JSON";
        InputRefused = "FS964", Error, "an input that the flow does not take";
        UnknownRun = "FS965", Error, "no such run";
        AmbiguousRun = "FS966", Error, "a run's id is cut too short";
        RunIdTaken = "FS967", Error, "the run's id is taken";
        OperationMissing = "FS968", Error, "the engine lacks the operation";
        RunFailed = "FS969", Error, "the run has failed";
        RunStatus = "FS970", Error, "the run is not in a state for that";
        NoTerminal = "FS971", Error, "no terminal to confirm on";
        NotConfirmed = "FS972", Error, "not confirmed";
        StartUnconfirmed = "FS973", Error, "a start that nobody knows of";
        NotDrained = "FS974", Error, "not drained";
        NotFinishedInTime = "FS975", Error, "not ended in time";
        RetirePending = "FS976", Error, "retire with pending migrations";
        NotAnOldVersion = "FS977", Error, "not an old version";
        WorkerUnknownFlow = "FS981", Error, "a flow to work on is not in the database";
        WorkerMismatch = "FS982", Error, "the flow files are not what the database holds";
        HandlersMismatch = "FS983", Error, "steps and handlers do not fit";
        VariableUnset = "FS984", Error, "an environment variable is not set";
        WorkerEngine = "FS985", Error, "the engine cannot run flows for workers";
        NothingToWorkOn = "FS986", Error, "nothing to work on";
        HandlerUnusable = "FS987", Error, "a handler cannot be run";
        MetricsUnavailable = "FS988", Error, "metrics cannot be served there";
        QueueMissing = "FS989", Error, "a flow without its queue";
        RunOfOtherFlow = "FS993", Error, "a run of another flow";
        PictureFormat = "FS994", Error, "a picture's format and its file's ending";
        TriggerRefused = "FS996", Error, "a trigger that this database cannot have";
        TriggersUnsupported = "FS997", Error, "a database that cannot hold triggers";
    }
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
