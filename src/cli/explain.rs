//! Prints what an error refers to: the findings of a check, or the drift of a database.

use flowsmith::report::findings::{self, Report};
use flowsmith::report::{Subject, drift_text};
use flowsmith_core::check::Checked;
use flowsmith_core::diagnostic::{Diagnostic, Kind};
use flowsmith_core::migration::{Edits, Folder};
use flowsmith_core::project::{Project, ProjectError};
use flowsmith_core::source::Sources;
use flowsmith_postgres::apply::ApplyError;
use flowsmith_postgres::deploy::DeployError;
use flowsmith_postgres::drift::Drift;
use flowsmith_postgres::pull::PullError;
use flowsmith_postgres::retire::RetireError;
use flowsmith_postgres::session::CompareError;

use super::command_kind::StdoutFormat;
use super::exit::Failure;
use super::output::Output;

/// An error of a use case, which may refer to findings or to drift.
pub(crate) trait Explained: Diagnostic {
    /// The check whose findings are the error.
    fn findings(&self) -> Option<&Checked> {
        None
    }

    /// The files that were checked, if they are not those of the project.
    fn sources(&self) -> Option<&Sources> {
        None
    }

    /// The drift that is the error.
    fn drift(&self) -> Option<&Drift> {
        None
    }
}

impl Explained for ProjectError {
    fn findings(&self) -> Option<&Checked> {
        Self::findings(self)
    }
}

impl Explained for CompareError {
    fn findings(&self) -> Option<&Checked> {
        Self::findings(self)
    }
}

impl Explained for ApplyError {
    fn drift(&self) -> Option<&Drift> {
        Self::drift(self)
    }
}

impl Explained for DeployError {
    fn drift(&self) -> Option<&Drift> {
        match self {
            Self::Apply(error) => error.drift(),
            _ => None,
        }
    }
}

impl Explained for PullError {
    fn findings(&self) -> Option<&Checked> {
        Self::findings(self)
    }

    fn sources(&self) -> Option<&Sources> {
        match self {
            Self::Invalid { sources, .. } => Some(sources),
            _ => None,
        }
    }

    fn drift(&self) -> Option<&Drift> {
        match self {
            Self::Apply(error) => error.drift(),
            _ => None,
        }
    }
}

impl Explained for RetireError {
    fn findings(&self) -> Option<&Checked> {
        Self::findings(self)
    }

    fn drift(&self) -> Option<&Drift> {
        Self::drift(self)
    }
}

/// Prints the findings or the drift that an error refers to, and returns the failure of the command. Drift needs a subject: the
/// database was opened before it was found.
pub(crate) fn explained<'a>(
    error: impl Explained,
    project: &Project,
    subject: impl Into<Option<&'a Subject>>,
    output: &Output,
) -> Failure {
    if let (Some(drift), Some(subject)) = (error.drift(), subject.into()) {
        output.aside(&drift_text(drift, subject, output.layout()));
    }
    with_findings(error, project, output)
}

/// Prints the findings that an error refers to, and returns the failure of the command. Findings go to stdout in the format of
/// the report, or to stderr if that format has no place for them.
pub(crate) fn with_findings(error: impl Explained, project: &Project, output: &Output) -> Failure {
    if let Some(checked) = error.findings() {
        let own = project.sources();
        let report = Report::new(checked, error.sources().unwrap_or(&own));
        match output.stdout_format() {
            StdoutFormat::Json => output.report(&findings::json(&report)),
            StdoutFormat::Text | StdoutFormat::Document => output.aside(&findings::text(&report, true)),
        }
    }
    let is_invalid = error.kind() == Kind::Invalid;
    let failure = Failure::from(error);
    // Each finding has been printed with its own code.
    if is_invalid { Failure { code: None, ..failure } } else { failure }
}

/// Warns of migrations that are not as compiled, if they are accepted. If the folder cannot be read, the command says so.
pub(crate) fn warn_of_edits(project: &Project, output: &Output) {
    if project.edits == Edits::Refused {
        return;
    }
    let care = anstyle::AnsiColor::Yellow.on_default().bold();
    let Ok(folder) = Folder::read_edited(&project.migrations).or_else(|_| {
        let mut folder = Folder::read_unchecked(&project.migrations)?;
        folder.verify(Edits::Accepted).map(|()| folder)
    }) else {
        return;
    };
    for (_, edit) in folder.edited() {
        output.complain(&format!("{care}warning{care:#}: --allow-edited: {edit}"));
    }
}

/// Prints the findings of a check that has no errors.
pub(crate) fn warnings(checked: &Checked, project: &Project, output: &Output) {
    if !checked.findings.is_empty() {
        let report = Report::new(checked, &project.sources());
        output.findings(&findings::text(&report, true));
    }
}
