//! What each command is by nature: whether it only reads, and what stdout holds.

use super::args::road::{CheckFormat, PlanFormat, ReportFormat};
use super::args::{Command, StatusFormat};

/// What a command does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing: whoever reads may stop it.
    Reads,
    /// Something that is not to be left half done.
    Changes,
}

/// What stdout holds, and so what may not stand there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Text, to which findings can be added.
    Text,
    /// One JSON document, or none.
    Json,
    /// A document of another kind, or none.
    Document,
}

impl Command {
    pub(crate) fn effect(&self) -> Effect {
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
            | Self::Completions { .. } => Effect::Reads,
            Self::Graph(args) if args.output.is_none() => Effect::Reads,
            Self::Install(args) if args.print => Effect::Reads,
            Self::Stalled(args) if !args.requeue => Effect::Reads,
            Self::Retire(args) if args.versions.is_empty() => Effect::Reads,
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
            | Self::Retire(_) => Effect::Changes,
        }
    }

    pub(crate) fn form(&self) -> Form {
        match self {
            Self::Check(args) => match args.format {
                CheckFormat::Text => Form::Text,
                CheckFormat::Json => Form::Json,
                CheckFormat::Github | CheckFormat::Sarif => Form::Document,
            },
            Self::Plan(args) => match args.format {
                PlanFormat::Text => Form::Text,
                PlanFormat::Json => Form::Json,
                PlanFormat::Markdown | PlanFormat::Html => Form::Document,
            },
            Self::Drift(args) => match args.format {
                ReportFormat::Text => Form::Text,
                ReportFormat::Json => Form::Json,
                ReportFormat::Markdown => Form::Document,
            },
            Self::Graph(_) => Form::Document,
            Self::Status(args) => args.format.form(),
            Self::Doctor(args) => args.format.form(),
            Self::Bench(args) => args.format.form(),
            Self::Start(args) => args.format.form(),
            Self::Runs(args) => args.format.form(),
            Self::Show(args) => args.format.form(),
            Self::Watch(args) => args.format.form(),
            Self::Queues(args) => args.format.form(),
            Self::Workers(args) => args.format.form(),
            Self::Stalled(args) => args.format.form(),
            Self::Retry(args) => args.format.form(),
            Self::Cancel(args) => args.format.form(),
            Self::Pause(args) | Self::Resume(args) => args.format.form(),
            Self::Prune(args) => args.format.form(),
            Self::Retire(args) => args.format.form(),
            Self::Stats(args) => args.format.form(),
            Self::Up(args) if args.url => Form::Document,
            Self::Install(args) if args.print => Form::Document,
            Self::Schema => Form::Json,
            Self::Completions { .. } => Form::Document,
            Self::Init(_)
            | Self::Up(_)
            | Self::Down
            | Self::Compile(_)
            | Self::Apply(_)
            | Self::Pull(_)
            | Self::Install(_)
            | Self::Worker(_)
            | Self::Explain { .. } => Form::Text,
        }
    }
}

impl StatusFormat {
    fn form(self) -> Form {
        match self {
            Self::Text => Form::Text,
            Self::Json => Form::Json,
        }
    }
}
