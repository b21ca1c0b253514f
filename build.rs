//! Finds the archive that the feature `bundled-postgres` puts into the program.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-env-changed=FLOWSMITH_BUNDLE");
    if env::var_os("CARGO_FEATURE_BUNDLED_POSTGRES").is_none() {
        return;
    }
    let root = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let given = env::var_os("FLOWSMITH_BUNDLE").map_or_else(|| "packaging/postgres.tar.zst".into(), PathBuf::from);
    let archive = root.join(given);
    println!("cargo::rerun-if-changed={}", archive.display());
    if archive.is_file() {
        println!("cargo::rustc-env=FLOWSMITH_BUNDLE={}", archive.display());
    } else {
        println!(
            "cargo::error=the feature bundled-postgres puts {} into the program, and it is not there: \
             run packaging/bundle-postgres.sh, or name another archive in FLOWSMITH_BUNDLE",
            archive.display()
        );
    }
}
