//! Runs a fuzz target, which the variable `FLOWSMITH_FUZZ` names, under libFuzzer.

#![no_main]

mod targets;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

use targets::{TARGETS, Target};

static TARGET: LazyLock<Target> = LazyLock::new(|| {
    let name = std::env::var("FLOWSMITH_FUZZ").expect("FLOWSMITH_FUZZ names the target");
    TARGETS.iter().find(|(target, _)| *target == name).unwrap_or_else(|| panic!("no target {name}")).1
});

fuzz_target!(|bytes: &[u8]| (*TARGET)(bytes));
