//! The registry of codes, of findings and errors alike. A code is stable: it never changes its meaning and is never reused.

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
    findings {
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
