//! Every folder under `tests/cases/migration` is a change: flow files `before` and `after`, and a snapshot of the migration
//! between them.
//!
//! A file `delete` names the flow versions to delete, one per line. A file `between` names the files of `before` that an
//! intermediate migration keeps.

use std::fs;
use std::path::{Path, PathBuf};

use flowsmith_core::catalog::{Catalog, FlowId};
use flowsmith_core::check::{CheckSettings, Checked, check};
use flowsmith_core::migration::{CompileSettings, Migration, carry_over, compile, replay};
use flowsmith_core::source::Sources;

/// One change.
pub(crate) struct Case {
    pub(crate) name: String,
    /// The migrations before the change.
    pub(crate) before: Vec<Migration>,
    /// The recorded catalog before the change.
    pub(crate) base: Catalog,
    /// The migrations of the change.
    pub(crate) change: Vec<Migration>,
    /// The recorded catalog after the change.
    pub(crate) expected: Catalog,
    /// The catalog of the flow files after the change.
    pub(crate) files: Catalog,
}

impl Case {
    pub(crate) fn migrations(&self) -> impl Iterator<Item = &Migration> {
        self.before.iter().chain(&self.change)
    }

    /// Whether the case needs an engine of level 0.14.
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
    let mut recorded = Catalog::new();
    let mut step = |version: &str, checked: Checked, delete: Vec<FlowId>| {
        let migrations = compiled(&recorded, &checked, version, &delete);
        recorded = carry_over(&recorded, checked.catalog);
        delete.iter().for_each(|id| drop(recorded.remove(&id.database_slug())));
        (migrations, recorded.clone())
    };
    if folder.join("before").is_dir() {
        before.extend(step("20260101000000", check_side(folder, "before", None), Vec::new()).0);
    }
    if let Ok(kept) = lines("between") {
        before.extend(step("20260102000000", check_side(folder, "before", Some(kept)), Vec::new()).0);
    }
    let checked = check_side(folder, "after", None);
    let files = checked.catalog.clone();
    let delete: Vec<String> = lines("delete").unwrap_or_default();
    let delete = delete.iter().map(|line| line.split_once('@').unwrap());
    let delete = delete.map(|(slug, version)| FlowId::new(slug, version.parse().unwrap())).collect();
    let (change, expected) = step("20260103000000", checked, delete);
    Case { name, base: replay(&before).unwrap(), before, change, expected, files }
}

/// Checks the flow files of one side. `only` names a part of them. They must not have errors.
fn check_side(folder: &Path, side: &str, only: Option<Vec<String>>) -> Checked {
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

fn compiled(recorded: &Catalog, checked: &Checked, version: &str, delete: &[FlowId]) -> Vec<Migration> {
    let settings = CompileSettings {
        delete: delete.to_vec(),
        files: checked.origins.iter().map(|(slug, origin)| (slug.clone(), origin.file.display().to_string())).collect(),
        ..CompileSettings::new(version.parse().unwrap())
    };
    compile(recorded, checked.catalog.clone(), &settings).unwrap().migrations
}
