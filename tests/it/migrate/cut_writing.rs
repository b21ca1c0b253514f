//! If `compile` or `up` is killed while it writes, the next command completes or undoes the write.

use flowsmith_core::diagnostic::Diagnostic as _;
use std::collections::BTreeMap;
use std::path::Path;

use flowsmith_core::migration::{Folder, Migration};

use crate::fixture::command::Project;

type Files = BTreeMap<String, Vec<u8>>;

fn files(folder: &Path) -> Files {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), std::fs::read(path).unwrap()))
        .collect()
}

fn put(folder: &Path, files: &Files) {
    std::fs::remove_dir_all(folder).unwrap();
    std::fs::create_dir(folder).unwrap();
    for (name, content) in files {
        std::fs::write(folder.join(name), content).unwrap();
    }
}

/// The name and the files of each intermediate state of a write that changes a folder from `before` to `after`. In the last
/// state, only the sum file is missing.
fn cuts(before: &Files, after: &Files) -> Vec<(String, Files)> {
    let draft = "flowsmith.sum.tmp".to_owned();
    let sum = &after["flowsmith.sum"];
    let mut state = before.clone();
    let mut cuts = vec![("half of the sum's draft".to_owned(), state.clone())];
    cuts[0].1.insert(draft.clone(), sum[..sum.len() / 2].to_vec());
    state.insert(draft, sum.clone());
    cuts.push(("the sum's draft".to_owned(), state.clone()));
    for (name, content) in after.iter().filter(|(name, _)| !before.contains_key(*name) && name.ends_with(".sql")) {
        let mut half = state.clone();
        half.insert(format!("{name}.tmp"), content[..content.len() / 2].to_vec());
        cuts.push((format!("half of {name}"), half));
        state.insert(name.clone(), content.clone());
        cuts.push((format!("all up to {name}"), state.clone()));
    }
    cuts
}

#[test]
fn interrupted_compile_is_completed_by_the_next() {
    let project = Project::new();
    let folder = project.path("migrations");
    std::fs::create_dir_all(&folder).unwrap();
    for slug in ["order", "ship"] {
        project.flow(slug, "version: 1", "  load: {}");
        let before = files(&folder);
        project.compile();
        let after = files(&folder);
        for (cut, state) in cuts(&before, &after) {
            put(&folder, &state);
            // Read-only commands read one of the two states and change nothing.
            let checked = project.run(&["compile", "--check"]).code;
            assert!(checked == 2 || checked == 0, "{slug}, {cut}: {checked}");
            assert_eq!(files(&folder), state, "{slug}, {cut}");
            project.succeeds(&["compile"]);
            let left = files(&folder);
            assert!(left.keys().all(|name| !name.ends_with(".tmp")), "{slug}, {cut}: {:?}", left.keys());
            assert_eq!(left.len(), after.len(), "{slug}, {cut}");
            let flows: Vec<u8> = left.values().flatten().copied().collect();
            assert!(String::from_utf8(flows).unwrap().contains(slug), "{slug}, {cut}");
            assert_eq!(project.run(&["compile", "--check"]).code, 0, "{slug}, {cut}");
        }
        put(&folder, &after);
    }
}

/// If only some of several migrations were written, they are deleted, because none of them was applied.
#[test]
fn incomplete_write_of_several_migrations_is_undone() {
    let project = Project::new();
    project.flow("order", "version: 1", "  load: {}");
    project.compile();
    let folder = project.path("migrations");
    let before = files(&folder);
    let first = before.keys().find(|name| name.ends_with(".sql")).unwrap();
    let content = String::from_utf8(before[first].clone()).unwrap();
    let more = ["29990101000000", "29990101000001", "29990101000002"].map(|version| {
        Migration::from_file(&format!("{version}_{}", &first[15..]), content.replace(&first[..14], version)).unwrap()
    });
    let mut written = Folder::read(&folder).unwrap();
    written.add(more.to_vec()).unwrap();
    let after = files(&folder);
    for (cut, state) in cuts(&before, &after) {
        put(&folder, &state);
        let mut read = Folder::read(&folder).unwrap_or_else(|error| panic!("{cut}: {error}"));
        let is_whole = state.len() == after.len() + 1 && state.keys().all(|name| !name.ends_with(".sql.tmp"));
        assert_eq!(read.migrations().len(), if is_whole { 4 } else { 1 }, "{cut}");
        assert_eq!(files(&folder), state, "{cut}");
        read.finish().unwrap();
        let left = files(&folder);
        assert!(left == if is_whole { after.clone() } else { before.clone() }, "{cut}: {:?}", left.keys());
        assert_eq!(Folder::read(&folder).unwrap().migrations().len(), read.migrations().len(), "{cut}");
    }
    // An edited file is not an interrupted write.
    let mut edited = cuts(&before, &after).pop().unwrap().1;
    edited.get_mut(first).unwrap().extend(b"-- by hand");
    put(&folder, &edited);
    assert_eq!(Folder::read(&folder).unwrap_err().code().as_str(), "FS804");
}
