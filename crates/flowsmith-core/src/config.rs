//! The settings file `flowsmith.toml`.

use crate::diagnostic::{Code, Diagnostic, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::file::{FileError, MAX_SETTINGS_BYTES, Root, is_below};
use crate::level::Level;
use crate::words;

/// The name of the settings file.
pub const CONFIG_FILE: &str = "flowsmith.toml";
/// The name of a project whose settings give none.
pub const DEFAULT_PROJECT: &str = "default";

/// The settings of a project; omitted keys have defaults.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The name of the project, which its migrations carry: lower-case letters, digits and underscores.
    #[serde(deserialize_with = "project")]
    pub project: String,
    /// Folder of the flow files.
    pub flows: PathBuf,
    /// Folder of the migrations.
    pub migrations: PathBuf,
    /// Target engine level; none = the level of the database.
    #[serde(deserialize_with = "level")]
    pub engine: Option<Level>,
    /// Flows in the database that flowsmith ignores: slugs, `*` for any characters.
    pub ignore: Vec<String>,
    /// Environments by the name that `--env` takes.
    pub environments: BTreeMap<String, EnvironmentConfig>,
}

/// An environment to deploy to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentConfig {
    /// Name of the variable with the database URL. The URL itself does not belong in a file under version control.
    pub database_url_env: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            project: DEFAULT_PROJECT.to_owned(),
            flows: PathBuf::from("flows"),
            migrations: PathBuf::from("migrations"),
            engine: None,
            ignore: Vec::new(),
            environments: BTreeMap::new(),
        }
    }
}

fn project<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    if is_project(&text) {
        return Ok(text);
    }
    let expected = "1 to 63 lower-case letters, digits and underscores, not beginning with a digit";
    Err(serde::de::Error::custom(format!("invalid project name `{text}`: use {expected}")))
}

fn is_project(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !text.starts_with(|first: char| first.is_ascii_digit())
}

/// The name of a project in a folder: its name with an underscore for each other character.
pub fn project_of(folder: &str) -> String {
    let slug: String = folder
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '_' })
        .collect();
    let slug: String = slug.trim_matches('_').chars().take(60).collect();
    let slug = if slug.starts_with(|first: char| first.is_ascii_digit()) { format!("p_{slug}") } else { slug };
    if is_project(&slug) { slug } else { DEFAULT_PROJECT.to_owned() }
}

fn level<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Level>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "auto" { Ok(None) } else { text.parse().map(Some).map_err(serde::de::Error::custom) }
}

/// An error in the settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder outside of the project.
    #[error("{}: `{key}` names the folder {}, which is outside of the project", path.display(), folder.display())]
    Outside {
        /// The file.
        path: PathBuf,
        /// The key of the folder.
        key: &'static str,
        /// The folder.
        folder: PathBuf,
    },
    /// The file is not TOML, or has an unknown key or an invalid value.
    #[error("{}: {}", path.display(), reason.trim_end())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// The parse error with line and column.
        reason: String,
    },
    /// The requested environment is not configured.
    #[error("environment `{name}` is not configured in {CONFIG_FILE}")]
    UnknownEnvironment {
        /// The requested name.
        name: String,
        /// Candidates for a suggestion: the configured environments, otherwise those with overrides in flow files.
        known: BTreeSet<String>,
        /// Whether any environment is configured.
        is_configured: bool,
    },
}

impl Diagnostic for ConfigError {
    fn code(&self) -> Code {
        match self {
            Self::File(FileError::Io { .. } | FileError::BrokenLink { .. } | FileError::NotUtf8 { .. }) => {
                Code::SettingsUnreadable
            }
            Self::File(error) => error.code(),
            Self::Outside { .. } => Code::LeadsOutside,
            Self::Invalid { .. } => Code::InvalidSettings,
            Self::UnknownEnvironment { .. } => Code::UndefinedEnvironment,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::File(error) => error.kind(),
            Self::Invalid { .. } => Kind::Failed,
            Self::Outside { .. } => Kind::Refused,
            Self::UnknownEnvironment { .. } => Kind::Usage,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::File(error) => return error.help(),
            Self::Outside { key, .. } => {
                format!("name a folder of the project, or pass the folder on the command line with --{key}")
            }
            Self::Invalid { .. } => {
                "use the keys project, flows, migrations, engine, ignore and [environments.NAME] database_url_env"
                    .to_owned()
            }
            Self::UnknownEnvironment { name, known, is_configured } => {
                let known = || known.iter().map(String::as_str);
                let add = |name: &str| {
                    format!(
                        "[environments.{name}] with database_url_env = \"VARIABLE\", the name of the variable with its database URL"
                    )
                };
                match words::nearest(name, known().filter(|known| *known != name)) {
                    Some(near) if *is_configured => format!("did you mean `{near}`? Otherwise add {}", add(name)),
                    Some(near) => format!("did you mean `{near}`? Add {}", add(near)),
                    None if *is_configured => {
                        format!("use {}, or add {}", words::quoted_list(known(), "or"), add(name))
                    }
                    None => format!("add {}", add(name)),
                }
            }
        })
    }
}

impl Config {
    /// Reads a settings file. Without `path`, a missing `flowsmith.toml` means the defaults.
    ///
    /// # Errors
    /// If the file cannot be read or parsed.
    pub fn read(path: Option<&Path>) -> Result<Self, ConfigError> {
        let file = path.unwrap_or(Path::new(CONFIG_FILE));
        let (root, name) = Root::of_file(file);
        let text = match root.read_text(&name, MAX_SETTINGS_BYTES) {
            Ok(text) => text,
            Err(error) if error.is_missing() && path.is_none() => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        let config: Self = toml::from_str(&text)
            .map_err(|error| ConfigError::Invalid { path: file.to_owned(), reason: excerpt(&error.to_string()) })?;
        for (key, folder) in [("flows", &config.flows), ("migrations", &config.migrations)] {
            if !is_below(folder) {
                return Err(ConfigError::Outside { path: file.to_owned(), key, folder: folder.clone() });
            }
        }
        Ok(config)
    }
}

/// The maximum number of characters of a quoted line.
const MAX_LINE: usize = 200;

/// A parse error whose quoted lines are cut.
fn excerpt(reason: &str) -> String {
    let cut = |line: &str| match line.char_indices().nth(MAX_LINE) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    };
    reason.lines().map(cut).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::{is_project, project_of};

    #[test]
    fn project_is_named_after_its_folder() {
        for (folder, project) in [
            ("billing", "billing"),
            ("My Shop", "my_shop"),
            ("2026-flows", "p_2026_flows"),
            ("漢字", "default"),
            ("", "default"),
        ] {
            assert_eq!(project_of(folder), project);
            assert!(is_project(project));
        }
    }
}
