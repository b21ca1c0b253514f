//! Helpers of both test programs: the tests with a server and those without.

pub(crate) mod catalogs;
pub(crate) mod encoders;
pub(crate) mod migration_cases;
pub(crate) mod program;
pub(crate) mod schemas;

use std::path::PathBuf;
use std::sync::LazyLock;

use flowsmith_devserver::{Binaries, Settings, provide};

/// Prints why a test is skipped. In CI, which runs every test, it fails instead.
#[expect(clippy::print_stderr, reason = "the output of a skipped test says why")]
pub(crate) fn skip(reason: &str) {
    let is_ci = std::env::var_os("CI").is_some() && std::env::var_os("FLOWSMITH_TEST_POSTGRES_BIN").is_none();
    assert!(!is_ci, "{reason}; CI skips no test: .ci/run installs their requirements");
    eprintln!("skipped: {reason}");
}

/// The programs of the PostgreSQL server that the tests start.
pub(crate) fn binaries() -> &'static Binaries {
    static BINARIES: LazyLock<Binaries> = LazyLock::new(|| {
        let binaries = std::env::var_os("FLOWSMITH_TEST_POSTGRES_BIN").map(PathBuf::from);
        provide(&Settings { binaries, ..Settings::from_env() }, &|_| {}).unwrap_or_else(|error| panic!("{error}"))
    });
    &BINARIES
}
