//! `flowsmith.toml`: where a project keeps its things.

use crate::diagnostic::{Code, Diagnostic, Kind};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::level::Level;
use crate::words;

/// The file's name.
pub const CONFIG_FILE: &str = "flowsmith.toml";

/// What the file says, with defaults for what it does not.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Folder of the flow files.
    pub flows: PathBuf,
    /// Folder of the migrations.
    pub migrations: PathBuf,
    /// Engine level aimed at; none = whatever the database has.
    #[serde(deserialize_with = "level")]
    pub engine: Option<Level>,
    /// Live flows to leave alone: slugs, `*` for any characters.
    pub ignore: Vec<String>,
    /// By name, as `--env` takes it.
    pub environments: BTreeMap<String, EnvironmentConfig>,
}

/// One place to deploy to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnvironmentConfig {
    /// Name of the variable that holds its database URL. The URL itself has no place in a file under git.
    pub database_url_env: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            flows: PathBuf::from("flows"),
            migrations: PathBuf::from("migrations"),
            engine: None,
            ignore: Vec::new(),
            environments: BTreeMap::new(),
        }
    }
}

fn level<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Level>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "auto" { Ok(None) } else { text.parse().map(Some).map_err(serde::de::Error::custom) }
}

/// What is wrong with the file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The disk's.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The writer's: not TOML, an unknown key, a wrong value. The text has line and column.
    #[error("{}: {}", path.display(), reason.trim_end())]
    Invalid {
        /// Which file.
        path: PathBuf,
        /// What and where.
        reason: String,
    },
    /// An environment was asked for that the settings do not have.
    #[error("there is no environment `{name}` in {CONFIG_FILE}")]
    UnknownEnvironment {
        /// What was asked for.
        name: String,
        /// What may have been meant: the environments of the settings, else those that flow files have overrides for.
        known: BTreeSet<String>,
        /// Whether the settings have environments.
        is_configured: bool,
    },
}

impl Diagnostic for ConfigError {
    fn code(&self) -> Code {
        match self {
            Self::Io { .. } => Code::SettingsUnreadable,
            Self::Invalid { .. } => Code::InvalidSettings,
            Self::UnknownEnvironment { .. } => Code::UndefinedEnvironment,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Io { .. } | Self::Invalid { .. } => Kind::Failed,
            Self::UnknownEnvironment { .. } => Kind::Usage,
        }
    }

    fn help(&self) -> Option<String> {
        Some(match self {
            Self::Io { .. } => "check that the path is right and that you may read it".to_owned(),
            Self::Invalid { .. } => {
                "keys are flows, migrations, engine, ignore and [environments.NAME] database_url_env".to_owned()
            }
            Self::UnknownEnvironment { name, known, is_configured } => {
                let known = || known.iter().map(String::as_str);
                let add = |name: &str| {
                    format!("[environments.{name}] with database_url_env = \"VARIABLE\", which holds its database URL")
                };
                match words::nearest(name, known().filter(|known| *known != name)) {
                    Some(near) if *is_configured => format!("did you mean `{near}`? Or add {}", add(name)),
                    Some(near) => format!("did you mean `{near}`? Add {}", add(near)),
                    None if *is_configured => {
                        format!("it has {}; or add {}", words::quoted_list(known(), "and"), add(name))
                    }
                    None => format!("add {}", add(name)),
                }
            }
        })
    }
}

impl Config {
    /// Reads a file; the defaults where `path` is none and the folder has no `flowsmith.toml`.
    ///
    /// # Errors
    /// Where a file that is there, or was asked for, cannot be read or understood.
    pub fn read(path: Option<&Path>) -> Result<Self, ConfigError> {
        let file = path.unwrap_or(Path::new(CONFIG_FILE));
        let text = match fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_none() => return Ok(Self::default()),
            Err(source) => return Err(ConfigError::Io { path: file.to_owned(), source }),
        };
        toml::from_str(&text).map_err(|error| ConfigError::Invalid { path: file.to_owned(), reason: error.to_string() })
    }
}
