//! Finds the archive that the feature `bundled-postgres` puts into the program.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-env-changed=FLOWSMITH_BUNDLE");
    if env::var_os("CARGO_FEATURE_BUNDLED_POSTGRES").is_none() {
        return;
    }
    let crate_folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let default = || crate_folder.join("../../packaging/postgres.tar.zst");
    let archive = env::var_os("FLOWSMITH_BUNDLE").map_or_else(default, PathBuf::from);
    println!("cargo::rerun-if-changed={}", archive.display());
    if archive.is_file() {
        println!("cargo::rustc-env=FLOWSMITH_BUNDLE={}", archive.display());
    } else {
        println!(
            "cargo::error=the feature bundled-postgres needs the archive {}, which does not exist: \
             run packaging/bundle-postgres.sh, or set FLOWSMITH_BUNDLE to the absolute path of another archive",
            archive.display()
        );
    }
}
