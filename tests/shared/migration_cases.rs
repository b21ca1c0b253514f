//! Every folder under `tests/cases/migration` is a change: flow files `before` and `after`, and the migration between them.
//! `UPDATE=1 cargo test --test fast migrate::cases` writes the expectations anew, to be reviewed like any pull request.
//!
//! A file `delete` names flow versions to delete, one a line; a file `between` names the files of `before` that a
//! migration in between keeps.

use std::fs;
use std::path::{Path, PathBuf};

use flowsmith_core::catalog::{Catalog, FlowId};
use flowsmith_core::check::{CheckSettings, Checked, check};
use flowsmith_core::migration::{CompileSettings, Migration, carry_over, compile, replay};
use flowsmith_core::source::Sources;

/// One change.
pub(crate) struct Case {
    pub(crate) name: String,
    /// The migrations up to the change.
    pub(crate) before: Vec<Migration>,
    /// What `before` leaves behind.
    pub(crate) held: Catalog,
    /// The change.
    pub(crate) change: Vec<Migration>,
    /// What is in force after it.
    pub(crate) wanted: Catalog,
    /// The flow files after it.
    pub(crate) files: Catalog,
}

impl Case {
    /// All its migrations.
    pub(crate) fn migrations(&self) -> impl Iterator<Item = &Migration> {
        self.before.iter().chain(&self.change)
    }

    /// Whether it can only run on an engine of level 0.14.
    pub(crate) fn needs_conditions(&self) -> bool {
        self.migrations().any(|migration| migration.content.contains("engine level 0.14"))
    }
}

/// Every case, in the order of their names.
pub(crate) fn cases() -> Vec<Case> {
    let mut folders: Vec<PathBuf> = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders.iter().map(|folder| case(folder)).collect()
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/migration")
}

fn case(folder: &Path) -> Case {
    let name = folder.file_name().unwrap().to_string_lossy().into_owned();
    let lines =
        |file: &str| fs::read_to_string(folder.join(file)).map(|text| text.lines().map(str::to_owned).collect());
    let mut before = Vec::new();
    let mut held = Catalog::new();
    let mut step = |version: &str, checked: Checked, delete: Vec<FlowId>| {
        let compiled = compiled(&held, &checked, version, &delete);
        let mut wanted = carry_over(&held, checked.catalog.clone());
        delete.iter().for_each(|id| drop(wanted.remove(&id.database_slug())));
        held = wanted.clone();
        (compiled, wanted)
    };
    if folder.join("before").is_dir() {
        before.extend(step("20260101000000", files(folder, "before", None), Vec::new()).0);
    }
    if let Ok(kept) = lines("between") {
        before.extend(step("20260102000000", files(folder, "before", Some(kept)), Vec::new()).0);
    }
    let checked = files(folder, "after", None);
    let wanted_files = checked.catalog.clone();
    let delete: Vec<String> = lines("delete").unwrap_or_default();
    let delete = delete.iter().map(|line| line.split_once('@').unwrap());
    let delete = delete.map(|(slug, version)| FlowId::new(slug, version.parse().unwrap())).collect();
    let (change, wanted) = step("20260103000000", checked, delete);
    Case { name, held: replay(&before).unwrap(), before, change, wanted, files: wanted_files }
}

/// The flow files of one side, which must be right; only those named, where any are.
fn files(folder: &Path, side: &str, only: Option<Vec<String>>) -> Checked {
    let mut sources = std::collections::BTreeMap::new();
    for entry in fs::read_dir(folder.join(side)).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if only.as_ref().is_none_or(|only| only.contains(&name)) {
            sources.insert(Path::new("flows").join(name), fs::read(path).unwrap());
        }
    }
    let checked = check(&Sources::Memory(sources), &CheckSettings::default());
    assert!(!checked.has_errors(), "{}: {:?}", folder.display(), checked.findings);
    checked
}

fn compiled(held: &Catalog, checked: &Checked, version: &str, delete: &[FlowId]) -> Vec<Migration> {
    let settings = CompileSettings {
        delete: delete.to_vec(),
        files: checked.origins.iter().map(|(slug, origin)| (slug.clone(), origin.file.clone())).collect(),
        ..CompileSettings::new(version.parse().unwrap())
    };
    compile(held, checked.catalog.clone(), &settings).unwrap().migrations
}
