//! What the tests with a server and those without one have in common.

pub(crate) mod catalogs;
pub(crate) mod migration_cases;
pub(crate) mod program;
pub(crate) mod schemas;

use std::path::PathBuf;
use std::sync::LazyLock;

use flowsmith_devserver::{Binaries, Settings, provide};

/// Says why a test cannot run here. CI can run every one of them.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
pub(crate) fn left_out(why: &str) {
    let is_ci = std::env::var_os("CI").is_some() && std::env::var_os("FLOWSMITH_TEST_POSTGRES_BIN").is_none();
    assert!(!is_ci, "{why}, and CI leaves out no test: .ci/run installs what they need");
    eprintln!("left out: {why}");
}

/// The programs that the tests run.
pub(crate) fn binaries() -> &'static Binaries {
    static BINARIES: LazyLock<Binaries> = LazyLock::new(|| {
        let binaries = std::env::var_os("FLOWSMITH_TEST_POSTGRES_BIN").map(PathBuf::from);
        provide(&Settings { binaries, ..Settings::from_env() }, &|_| {}).unwrap_or_else(|error| panic!("{error}"))
    });
    &BINARIES
}
