//! Arguments of `graph`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use flowsmith_postgres::runs::RunPrefix;

#[derive(Debug, Args)]
pub(crate) struct GraphArgs {
    /// Flow: order, its highest version; order@1; not needed with --run
    #[arg(value_name = "FLOW", required_unless_present = "run")]
    pub(crate) flow: Option<String>,
    /// svg, mermaid, dot, html [default: by the ending of --output, else svg]
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    pub(crate) format: Option<GraphFormat>,
    /// files (the default), migrations, live: whose definition
    #[arg(
        long,
        value_name = "SIDE",
        default_value = "files",
        hide_default_value = true,
        hide_possible_values = true,
        conflicts_with = "run"
    )]
    pub(crate) from: GraphSide,
    /// Draw how this run stands: its id, or the beginning of it
    #[arg(long, value_name = "RUN")]
    pub(crate) run: Option<RunPrefix>,
    /// Write to this file instead of stdout: .svg, .html, .mmd, .dot
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
