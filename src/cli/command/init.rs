//! `flowsmith init`

use std::fs;
use std::path::{Path, PathBuf};

use flowsmith_core::config::{CONFIG_FILE, Config, project_of};
use flowsmith_core::source::Sources;
use flowsmith_core::write;

use crate::cli::args::deploy::InitArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Output, shown};

/// The files of a new project. The hook is made executable.
const FILES: [(&str, &str); 6] = [
    ("flowsmith.toml", include_str!("../../../templates/init/flowsmith.toml")),
    (EXAMPLE, include_str!("../../../templates/init/welcome.yaml")),
    ("schema/flow.v1.json", include_str!("../../../schema/flow.v1.json")),
    (".github/workflows/flowsmith.yml", include_str!("../../../templates/init/workflow.yml")),
    (HOOK, include_str!("../../../templates/init/pre-commit")),
    (".flowsmith/.gitignore", "*\n"),
];

const EXAMPLE: &str = "flows/welcome.yaml";
const HOOK: &str = ".githooks/pre-commit";

pub(crate) fn run(args: &InitArgs, output: &Output) -> Result<Exit, Failure> {
    let own = own_flow_file(&args.directory)?;
    for (name, content) in FILES {
        let path = args.directory.join(name);
        if let Some(own) = own.as_ref().filter(|_| name == EXAMPLE) {
            output.message(&format!("Skipped {EXAMPLE}: the project already has flow files, such as {}", shown(own)));
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|error| Failure::io("create", folder, &error))?;
        }
        let content = content.replace("{{ project }}", &project_name(&args.directory));
        let written =
            write::create(&path, content.as_bytes()).map_err(|error| Failure::io("write", &path, &error))?;
        output.message(&format!(
            "{} {}",
            if written { "Wrote" } else { "Kept " },
            shown(path.strip_prefix(".").unwrap_or(&path))
        ));
        if written && name == HOOK {
            make_executable(&path).map_err(|error| Failure::io("make executable", &path, &error))?;
        }
    }
    output.message(if own.is_some() {
        "\nNext: run `flowsmith check`, then `flowsmith up` to deploy the flows to an embedded PostgreSQL."
    } else {
        "\nNext: run `flowsmith up` to deploy the example to an embedded PostgreSQL, `flowsmith worker` to process its tasks,\n\
         and in another terminal `flowsmith start welcome -i '{\"name\": \"Ada\"}' --wait` to start a run."
    });
    output.message("Run `git config core.hooksPath .githooks` to enable the pre-commit hook.");
    Ok(Exit::Done)
}

/// The name of a project in a folder that `init` sets up.
fn project_name(directory: &Path) -> String {
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    project_of(&directory.file_name().unwrap_or_default().to_string_lossy())
}

/// An existing flow file, if any: the example is then omitted, because the next `up` would deploy it.
fn own_flow_file(directory: &Path) -> Result<Option<PathBuf>, Failure> {
    let settings = directory.join(CONFIG_FILE);
    let flows = if settings.exists() { Config::read(Some(&settings))?.flows } else { Config::default().flows };
    if !directory.join(&flows).is_dir() {
        return Ok(None);
    }
    let (files, _) = Sources::Folder { root: directory.to_owned(), flows }.discover();
    Ok(files.into_iter().find(|file| file != Path::new(EXAMPLE)))
}

#[cfg(unix)]
fn make_executable(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> std::io::Result<()> {
    Ok(())
}
