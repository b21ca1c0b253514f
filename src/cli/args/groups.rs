//! The commands in the groups of `flowsmith --help`, and the version. clap groups options, but not subcommands.

use std::fmt::Write as _;
use std::sync::LazyLock;

use clap::builder::{StyledStr, Styles};
use clap::{Command, CommandFactory as _};
use flowsmith_postgres::engine::Level;

use super::Cli;

/// Every command, in the order of the help.
const GROUPS: [(&str, &[&str]); 5] = [
    ("Author", &["init", "check", "compile", "graph", "schema", "explain"]),
    ("Deploy", &["install", "plan", "apply", "drift", "status", "pull", "retire", "doctor"]),
    ("Run", &["up", "down", "worker", "start", "runs", "show", "watch"]),
    ("Operate", &["stalled", "retry", "cancel", "pause", "resume", "prune", "queues", "workers", "stats"]),
    ("Other", &["bench", "completions", HELP]),
];

/// The command that clap adds by itself, which therefore has no description in [`Cli`].
const HELP: &str = "help";
const ABOUT_HELP: &str = "Print the help of a command";

/// The package's version, and the commit if `build.rs` found one.
static VERSION: LazyLock<String> = LazyLock::new(|| match option_env!("FLOWSMITH_COMMIT") {
    Some(commit) => format!("{} ({commit})", env!("CARGO_PKG_VERSION")),
    None => env!("CARGO_PKG_VERSION").to_owned(),
});

/// The version and the engine levels, for `--version`; `-V` prints the first line only.
static LONG_VERSION: LazyLock<String> =
    LazyLock::new(|| format!("{}\nengine levels: {}", *VERSION, Level::ALL.map(Level::as_str).join(", ")));

/// The whole command line, with its grouped help.
pub(crate) fn command() -> Command {
    let command = Cli::command().version(VERSION.as_str()).long_version(LONG_VERSION.as_str());
    let template = template(&command);
    command.help_template(template)
}

/// The help with the groups in place of clap's flat list.
fn template(command: &Command) -> StyledStr {
    let styles = Styles::default();
    let (header, literal) = (styles.get_header(), styles.get_literal());
    let mut template = StyledStr::from("{about}\n\n{usage-heading} {usage}\n\n".to_owned());
    let width = GROUPS.iter().flat_map(|(_, names)| *names).map(|name| name.len()).max().unwrap_or_default();
    for (group, names) in GROUPS {
        let _ = writeln!(template, "{header}{group}:{header:#}");
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about).map(ToString::to_string);
            let about = about.unwrap_or_else(|| ABOUT_HELP.to_owned());
            let _ =
                writeln!(template, "  {literal}{name}{literal:#}{:space$}{about}", "", space = width + 2 - name.len());
        }
        let _ = writeln!(template);
    }
    let _ = write!(template, "{header}Options:{header:#}\n{{options}}{{after-help}}");
    template
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn groups_hold_every_command_once() {
        let mut command = Cli::command();
        command.build();
        let commands: BTreeSet<_> = command.get_subcommands().map(Command::get_name).collect();
        let grouped: Vec<_> = GROUPS.iter().flat_map(|(_, names)| names.iter().copied()).collect();
        assert_eq!(grouped.iter().copied().collect::<BTreeSet<_>>(), commands);
        assert_eq!(grouped.len(), commands.len(), "a command is in two groups");
    }

    #[test]
    fn version_names_every_engine_level() {
        let command = command();
        assert!(command.render_version().starts_with(concat!("flowsmith ", env!("CARGO_PKG_VERSION"))));
        let long = command.render_long_version();
        assert!(long.ends_with("engine levels: 0.7.2, 0.8.1, 0.14\n"), "{long}");
        command.debug_assert();
    }
}
