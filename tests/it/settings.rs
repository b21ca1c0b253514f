//! Which settings win.

use std::fs;

use crate::program::Program;

#[test]
fn an_environment_never_meets_the_database_of_an_exported_database_url() {
    let folder = tempfile::tempdir().unwrap();
    let settings = "[environments.production]\ndatabase_url_env = \"PRODUCTION_URL\"\n";
    fs::write(folder.path().join("flowsmith.toml"), settings).unwrap();
    let program = Program::in_folder(folder.path());
    let elsewhere = "postgres://localhost:1/elsewhere";
    let output = program.shell(&format!("DATABASE_URL={elsewhere} flowsmith status --env production"));
    assert_eq!(output.exit, Some(64), "{output:?}");
    assert!(output.stderr.starts_with("error[FS823]: the variable PRODUCTION_URL,"), "{output:?}");
    // Its own variable is taken, and a flag comes before both.
    let wanted = "PRODUCTION_URL=postgres://localhost:1/wanted";
    for (flags, database) in [("", "wanted"), ("--database postgres://localhost:1/flag", "flag")] {
        let line = format!("DATABASE_URL={elsewhere} {wanted} flowsmith status --env production {flags}");
        let output = program.shell(&line);
        assert!(output.stderr.contains(&format!("localhost:1/{database}:")), "{output:?}");
    }
}
