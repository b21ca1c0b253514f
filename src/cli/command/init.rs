//! `flowsmith init`

use std::fs;
use std::path::{Path, PathBuf};

use flowsmith_core::config::{CONFIG_FILE, Config, project_of};
use flowsmith_core::file::Root;
use flowsmith_core::source::Sources;

use crate::cli::args::deploy::InitArgs;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::{Output, shown};

/// The files of a new project. The hook is made executable.
const FILES: [(&str, &str); 5] = [
    ("flowsmith.toml", include_str!("../../../templates/init/flowsmith.toml")),
    (EXAMPLE, include_str!("../../../templates/init/welcome.yaml")),
    ("schema/flow.v1.json", include_str!("../../../schema/flow.v1.json")),
    (".github/workflows/flowsmith.yml", include_str!("../../../templates/init/workflow.yml")),
    (HOOK, include_str!("../../../templates/init/pre-commit")),
];

const EXAMPLE: &str = "flows/welcome.yaml";
const HOOK: &str = ".githooks/pre-commit";

pub(crate) fn run(args: &InitArgs, output: &Output) -> Result<Exit, Failure> {
    let directory = &args.directory;
    fs::create_dir_all(directory).map_err(|error| Failure::io("create", directory, &error))?;
    let own = own_flow_file(directory)?;
    let root = Root::new(directory);
    for (name, content) in FILES {
        let path = directory.join(name);
        if let Some(own) = own.as_ref().filter(|_| name == EXAMPLE) {
            output.message(&format!("Skipped {EXAMPLE}: the project already has flow files, such as {}", shown(own)));
            continue;
        }
        let content = content.replace("{{ project }}", &project_name(directory));
        let name = Path::new(name);
        root.create_folder(name.parent().unwrap_or(Path::new(".")))?;
        let written = root.create(name, &content, if name == Path::new(HOOK) { 0o777 } else { 0o666 })?;
        output.message(&format!(
            "{} {}",
            if written { "Wrote" } else { "Kept " },
            shown(path.strip_prefix(".").unwrap_or(&path))
        ));
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
    // An absolute path: the directory was named on the command line, and is a project of its own.
    let settings = std::path::absolute(directory).map_err(|error| Failure::io("resolve", directory, &error))?;
    let settings = settings.join(CONFIG_FILE);
    let flows = if settings.symlink_metadata().is_ok() {
        Config::read(Some(&settings))?.flows
    } else {
        Config::default().flows
    };
    if !directory.join(&flows).is_dir() {
        return Ok(None);
    }
    let (files, _) = Sources::Folder { root: directory.to_owned(), flows }.discover();
    Ok(files.into_iter().find(|file| file != Path::new(EXAMPLE)))
}
