//! Rules for features that the target level of the engine lacks.

use crate::catalog::FailureMode;
use crate::check::CheckSettings;
use crate::definition::FlowFile;
use crate::finding::{Code, Finding, Findings};
use crate::level::Level;

pub(super) fn check(flow: &FlowFile, settings: &CheckSettings, findings: &mut Findings) {
    let Some(level) = settings.engine.filter(|level| !level.has_conditions()) else { return };
    let Some(first) = Level::ALL.into_iter().find(|level| level.has_conditions()) else { return };
    for step in &flow.steps {
        // A mode that equals the fixed behaviour of lower levels is allowed on them.
        let used = [
            ("if", step.condition.is_some()),
            ("if_not", step.exclusion.is_some()),
            ("when_unmet", step.when_unmet.is_some_and(|mode| mode != FailureMode::Skip)),
            ("when_exhausted", step.when_exhausted.is_some_and(|mode| mode != FailureMode::Fail)),
        ];
        for (key, _) in used.into_iter().filter(|(_, is_used)| *is_used) {
            let message = format!("`{key}` requires engine level {first}, but the target level is {level}");
            let finding = Finding::new(Code::EngineLevel, super::step_path(step).key(key).itself(), message)
                .label(format!("requires level {first}"));
            findings
                .push(finding.help(format!("upgrade the engine and check with `--engine {first}`, or remove `{key}`")));
        }
    }
}
