//! The kind of each command: whether it only reads, and the format of its report on stdout.

use super::args::deploy::{CheckFormat, PlanFormat, ReportFormat};
use super::args::{Command, StatusFormat};

/// Whether a command changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CommandKind {
    /// Only reads: it may stop when its report is no longer read.
    ReadOnly,
    /// Changes files or a database: it runs to its end, whether or not its report is read.
    Writes,
}

/// The format of the report on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StdoutFormat {
    /// Text; findings may follow or precede it.
    Text,
    /// One JSON document, or nothing.
    Json,
    /// A document of another kind, or nothing.
    Document,
}

impl Command {
    pub(crate) fn kind(&self) -> CommandKind {
        match self {
            Self::Check(_)
            | Self::Plan(_)
            | Self::Drift(_)
            | Self::Status(_)
            | Self::Doctor(_)
            | Self::Runs(_)
            | Self::Show(_)
            | Self::Watch(_)
            | Self::Queues(_)
            | Self::Workers(_)
            | Self::Stats(_)
            | Self::Explain { .. }
            | Self::Schema
            | Self::Completions { .. } => CommandKind::ReadOnly,
            Self::Graph(args) if args.output.is_none() => CommandKind::ReadOnly,
            Self::Install(args) if args.print => CommandKind::ReadOnly,
            Self::Stalled(args) if !args.requeue => CommandKind::ReadOnly,
            Self::Retire(args) if args.versions.is_empty() => CommandKind::ReadOnly,
            Self::Init(_)
            | Self::Up(_)
            | Self::Down
            | Self::Compile(_)
            | Self::Apply(_)
            | Self::Pull(_)
            | Self::Install(_)
            | Self::Graph(_)
            | Self::Worker(_)
            | Self::Bench(_)
            | Self::Start(_)
            | Self::Stalled(_)
            | Self::Retry(_)
            | Self::Cancel(_)
            | Self::Pause(_)
            | Self::Resume(_)
            | Self::Prune(_)
            | Self::Retire(_) => CommandKind::Writes,
        }
    }

    /// Whether the command accepts migrations that are not as compiled.
    pub(crate) fn allows_edited(&self) -> bool {
        match self {
            Self::Compile(args) => args.allow_edited,
            Self::Plan(args) => args.allow_edited,
            Self::Apply(args) => args.allow_edited,
            Self::Drift(args) => args.allow_edited,
            Self::Status(args) => args.allow_edited,
            _ => false,
        }
    }

    pub(crate) fn stdout_format(&self) -> StdoutFormat {
        match self {
            Self::Check(args) => match args.format {
                CheckFormat::Text => StdoutFormat::Text,
                CheckFormat::Json => StdoutFormat::Json,
                CheckFormat::Github | CheckFormat::Sarif => StdoutFormat::Document,
            },
            Self::Plan(args) => match args.format {
                PlanFormat::Text => StdoutFormat::Text,
                PlanFormat::Json => StdoutFormat::Json,
                PlanFormat::Markdown | PlanFormat::Html => StdoutFormat::Document,
            },
            Self::Drift(args) => match args.format {
                ReportFormat::Text => StdoutFormat::Text,
                ReportFormat::Json => StdoutFormat::Json,
                ReportFormat::Markdown => StdoutFormat::Document,
            },
            Self::Graph(_) => StdoutFormat::Document,
            Self::Status(args) => args.format.stdout_format(),
            Self::Doctor(args) => args.format.stdout_format(),
            Self::Bench(args) => args.format.stdout_format(),
            Self::Start(args) => args.format.stdout_format(),
            Self::Runs(args) => args.format.stdout_format(),
            Self::Show(args) => args.format.stdout_format(),
            Self::Watch(args) => args.format.stdout_format(),
            Self::Queues(args) => args.format.stdout_format(),
            Self::Workers(args) => args.format.stdout_format(),
            Self::Stalled(args) => args.format.stdout_format(),
            Self::Retry(args) => args.format.stdout_format(),
            Self::Cancel(args) => args.format.stdout_format(),
            Self::Pause(args) | Self::Resume(args) => args.format.stdout_format(),
            Self::Prune(args) => args.format.stdout_format(),
            Self::Retire(args) => args.format.stdout_format(),
            Self::Stats(args) => args.format.stdout_format(),
            Self::Up(args) if args.url => StdoutFormat::Document,
            Self::Install(args) if args.print => StdoutFormat::Document,
            Self::Schema => StdoutFormat::Json,
            Self::Completions { .. } => StdoutFormat::Document,
            Self::Init(_)
            | Self::Up(_)
            | Self::Down
            | Self::Compile(_)
            | Self::Apply(_)
            | Self::Pull(_)
            | Self::Install(_)
            | Self::Worker(_)
            | Self::Explain { .. } => StdoutFormat::Text,
        }
    }
}

impl StatusFormat {
    fn stdout_format(self) -> StdoutFormat {
        match self {
            Self::Text => StdoutFormat::Text,
            Self::Json => StdoutFormat::Json,
        }
    }
}
