//! Arguments of `graph`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use flowsmith_postgres::runs::RunPrefix;

#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// Flow: order for its newest version, or order@1
    #[arg(value_name = "FLOW", required_unless_present = "run")]
    pub(crate) flow: Option<String>,
    /// svg, mermaid, dot or html [default: from the extension of --output, else svg]
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    pub(crate) format: Option<GraphFormat>,
    /// Source of the definition: files (default), migrations or live
    #[arg(
        long,
        value_name = "SIDE",
        default_value = "files",
        hide_default_value = true,
        hide_possible_values = true,
        conflicts_with = "run"
    )]
    pub(crate) from: GraphSide,
    /// Run to draw instead: its id or a unique prefix of it
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<RunPrefix>,
    /// Write to a file instead of stdout: .svg, .html, .mmd or .dot
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphFormat {
    Svg,
    Mermaid,
    Dot,
    Html,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum GraphSide {
    Files,
    Migrations,
    Live,
}
