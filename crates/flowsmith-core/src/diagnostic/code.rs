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
        Io = "FS801", Error, "a file or process operation failed";
        ForeignMigration = "FS802", Error, "not a flowsmith migration";
        SameVersion = "FS803", Error, "two migrations with the same version";
        SumMismatch = "FS804", Error, "the migrations do not match flowsmith.sum";
        MalformedMigration = "FS805", Error, "the plan of a migration cannot be read";
        DigestMismatch = "FS806", Error, "a definition does not match its digest";
        ChangeOfUnknownFlow = "FS807", Error, "a migration changes a flow that no migration creates";
        MigrationNotAsCompiled = "FS808", Error, "a migration is not as it was compiled";
        VersionNotNewest = "FS811", Error, "the version is not the newest";
        MigrationName = "FS812", Error, "invalid migration name";
        DeleteDefinedFlow = "FS813", Error, "deletion of a flow that is in the flow files";
        DeleteUnknownFlow = "FS814", Error, "deletion of a flow that is in no migration";
        RenamedFlow = "FS815", Error, "two names for one flow in the database";
        SettingsUnreadable = "FS821", Error, "the settings file cannot be read";
        InvalidSettings = "FS822", Error, "invalid settings";
        DatabaseUrlUnset = "FS823", Error, "the database URL of the environment is not set";
        NoDatabase = "FS824", Error, "no database is configured";
        NoFlowsFolder = "FS825", Error, "the flows folder does not exist";
        PullOverwrites = "FS826", Error, "pull would overwrite flow files";
        MigrationsBehind = "FS827", Error, "the migrations are behind the flow files";
        CheckAborted = "FS828", Error, "reading the files failed unexpectedly";
        PullPending = "FS829", Error, "pull with pending migrations";
        UndefinedEnvironment = "FS830", Error, "unknown environment";
        PullInvalidFlow = "FS831", Error, "pull would adopt an invalid flow";
        InvalidDatabaseUrl = "FS901", Error, "invalid database URL";
        DatabaseUnreachable = "FS902", Error, "the database cannot be reached";
        AuthenticationFailed = "FS903", Error, "the server rejected the login";
        DatabaseMissing = "FS904", Error, "the database does not exist";
        PermissionDenied = "FS905", Error, "missing privilege";
        LockTimeout = "FS906", Error, "lock timeout";
        StatementCancelled = "FS907", Error, "statement cancelled";
        ConnectionLost = "FS908", Error, "connection lost";
        EngineMissing = "FS909", Error, "missing engine or engine feature";
        GuardRefused = "FS910", Error, "refused by a guard in the database";
        StateMismatch = "FS911", Error, "unexpected definition in the database";
        StatementFailed = "FS912", Error, "database error";
        ApplyLocked = "FS913", Error, "another apply holds the lock";
        Drifted = "FS914", Error, "the database has drifted";
        MigrationEdited = "FS915", Error, "an applied migration was changed";
        MigrationMissing = "FS916", Error, "an applied migration is missing in the folder";
        MigrationOutOfOrder = "FS917", Error, "migration out of order";
        EngineIncomplete = "FS918", Error, "incomplete engine";
        LedgerMissing = "FS919", Error, "missing flowsmith schema";
        UnreadableAnswer = "FS920", Error, "unexpected query result";
        ServerTooOld = "FS921", Error, "the server is too old";
        PgmqTooOld = "FS922", Error, "pgmq is too old";
        EngineEdited = "FS923", Error, "the engine was installed from a different text";
        PgmqInstallFailed = "FS924", Error, "pgmq cannot be installed";
        InputStyleFixed = "FS925", Error, "the input style cannot change";
        TransactionConflict = "FS926", Error, "conflict with another transaction";
        RolesOnOfficialEngine = "FS927", Error, "--grants with an official engine";
        ServerReadOnly = "FS929", Error, "the server is read-only";
        TextNotStorable = "FS930", Error, "text that the encoding of the database lacks";
        ServerNotFound = "FS931", Error, "no PostgreSQL server found";
        DownloadMismatch = "FS932", Error, "unexpected checksum of a download";
        ServerUnusable = "FS933", Error, "the server does not run on this machine";
        NoServerUser = "FS934", Error, "no user to run the server";
        OtherMajorData = "FS935", Error, "data of another major version";
        ServerLocked = "FS936", Error, "another process is starting the server";
        ServerFailed = "FS937", Error, "the embedded server failed";
        OtherUsersData = "FS938", Error, "data of another user";
        LedgerUnreadable = "FS940", Error, "a definition in the ledger cannot be read";
        BenchNoRuntime = "FS951", Error, "the engine cannot run benchmark flows";
        BenchNoBatches = "FS952", Error, "the engine does not support batches";
        BenchStalled = "FS953", Error, "the benchmark stalled";
        BenchMiscount = "FS954", Error, "unexpected result of the benchmark";
        BenchInterrupted = "FS955", Error, "the benchmark was stopped";
        BenchLeftovers = "FS956", Error, "benchmark flows were not deleted";
        UnknownFlow = "FS961", Error, "unknown flow";
        NoCurrentVersion = "FS962", Error, "no current version";
        InputNotJson = "FS963", Error, "the input is not JSON";
        InputRefused = "FS964", Error, "the flow does not accept the input";
        UnknownRun = "FS965", Error, "unknown run";
        AmbiguousRun = "FS966", Error, "ambiguous run id";
        RunIdTaken = "FS967", Error, "the run id already exists";
        OperationMissing = "FS968", Error, "operation not supported by the engine";
        RunFailed = "FS969", Error, "the run failed";
        RunStatus = "FS970", Error, "wrong state of the run";
        NoTerminal = "FS971", Error, "no terminal for the confirmation";
        NotConfirmed = "FS972", Error, "not confirmed";
        StartUnconfirmed = "FS973", Error, "uncertain start";
        NotDrained = "FS974", Error, "the version is not drained";
        NotFinishedInTime = "FS975", Error, "the run did not end in time";
        RetirePending = "FS976", Error, "retire with pending migrations";
        NotAnOldVersion = "FS977", Error, "not an old version";
        WorkerUnknownFlow = "FS981", Error, "the database lacks a flow of the worker";
        WorkerMismatch = "FS982", Error, "the flow files differ from the database";
        HandlersMismatch = "FS983", Error, "steps and handlers do not match";
        VariableUnset = "FS984", Error, "an environment variable of a handler is not set";
        WorkerEngine = "FS985", Error, "the engine cannot run flows for workers";
        NothingToWorkOn = "FS986", Error, "no flow to work on";
        HandlerUnusable = "FS987", Error, "invalid handler";
        MetricsUnavailable = "FS988", Error, "the metrics address is not available";
        QueueMissing = "FS989", Error, "the queue of a flow is missing";
        RunOfOtherFlow = "FS993", Error, "the run belongs to another flow";
        PictureFormat = "FS994", Error, "the file extension does not match the format";
        TriggerRefused = "FS996", Error, "the database cannot create a trigger";
        TriggersUnsupported = "FS997", Error, "the database does not support triggers";
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
