//! Icons of 12 by 12 pixels as paths, because fonts do not contain all of these symbols.

use crate::graph::{Icon, Mark};
use flowsmith_postgres::runs::StepStatus;

/// The SVG path of an icon.
pub(super) fn path(icon: Icon) -> &'static str {
    match icon {
        Icon::Map => "M1 1.5h6v5H1zM4 9h6V4M7 11.5h4.5V7",
        Icon::Condition => "M6 .8 11.2 6 6 11.2.8 6z",
        Icon::Delay => "M6 1a5 5 0 1 0 .01 0zM6 3.2V6l2 1.4",
        Icon::Retry => "M10.3 7A4.5 4.5 0 1 1 9.2 2.8L10.5 4M10.6 1v3.1H7.5",
        Icon::Timeout => "M2.5 1h7M2.5 11h7M3.5 1c0 3 5 6.5 5 10M8.5 1c0 3-5 6.5-5 10",
        Icon::Exhausted => "M1 9.5C1 3.5 8.5 3 10.5 7.3M11 3.6v4H7",
        Icon::Error => "M6 1 11.4 10.8H.6zM6 4.6v2.6M6 9v.1",
        Icon::Status(StepStatus::Created | StepStatus::NotRun) => "M6 1.5a4.5 4.5 0 1 0 .01 0z",
        Icon::Status(StepStatus::Started) => "M3 1.5 10 6l-7 4.5z",
        Icon::Status(StepStatus::Completed) => "m1.5 6.5 3 3.2 6-7",
        Icon::Status(StepStatus::Failed) => "m2 2 8 8M10 2l-8 8",
        Icon::Status(StepStatus::CutOff) => "M2.5 2.5h7v7h-7z",
        Icon::Status(StepStatus::Skipped) => "m1 2.2 4.8 3.8L1 9.8zM6.4 2.2 11.2 6l-4.8 3.8z",
        Icon::Mark(Mark::Added) => "M6 1.5v9M1.5 6h9",
        Icon::Mark(Mark::Removed) => "M1.5 6h9",
        Icon::Mark(Mark::Changed | Mark::Same) => "M1.2 7.2c1.6-3 3-3 4.8-1.2s3.2 1.8 4.8-1.2",
    }
}
