//! The migrations in `migrations/` equal the compiled example flows in `flows/`.

use std::fs;
use std::path::Path;

use crate::shared::program::Program;

const VERSION: &str = "20261121120000";
const FILES: [&str; 2] = ["20261121120000_examples.sql", "flowsmith.sum"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn committed_migration_equals_the_compiled_example_flows() {
    let folder = tempfile::tempdir().unwrap();
    let program = Program::in_folder(root());
    let target = folder.path().to_str().unwrap();
    let output = program.run(&["compile", "--name", "examples", "--timestamp", VERSION, "--migrations", target]);
    assert_eq!(output.exit, Some(0), "{}", output.stderr);
    for name in FILES {
        let committed = root().join("migrations").join(name);
        let compiled = fs::read_to_string(folder.path().join(name)).unwrap();
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&committed, &compiled).unwrap();
        }
        let same = fs::read_to_string(committed).unwrap() == compiled;
        assert!(same, "migrations/{name} is out of date: UPDATE=1 writes it; then look at `git diff`");
    }
    let output = program.run(&["compile", "--check"]);
    assert_eq!((output.exit, output.stdout.as_str()), (Some(0), ""), "{}", output.stderr);
}

#[test]
fn examples_pass_the_check_in_every_environment() {
    for environment in ["production", "staging"] {
        let output = Program::in_folder(root()).run(&["check", "--env", environment]);
        assert_eq!(output.exit, Some(0), "{}", output.stdout);
    }
}
