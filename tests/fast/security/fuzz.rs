//! The fuzz targets on their corpus and on random mutations of it, without instrumentation. `tests/fuzz/run.sh` searches longer,
//! guided by coverage.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::Rng as _;
use proptest::test_runner::{RngAlgorithm, TestRng};

#[path = "../../fuzz/src/targets.rs"]
#[allow(unreachable_pub, reason = "shared with a crate of its own")]
mod targets;

use targets::TARGETS;

/// The number of mutations of each target.
const MUTATIONS: usize = 400;

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() { files(&entry, found) } else { found.push(entry) }
    }
}

/// The corpus of a target; flow files also start from the cases of the check.
fn corpus(target: &str) -> Vec<Vec<u8>> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut found = Vec::new();
    files(&tests.join("fuzz/corpus").join(target), &mut found);
    if matches!(target, "yaml" | "toml") {
        files(&tests.join("cases/check"), &mut found);
        found.retain(|file| file.extension().is_some_and(|extension| extension == target));
    }
    found.sort_unstable();
    found.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Replaces, removes or repeats a part of an input, or inserts a part of another one.
fn mutate(input: &[u8], other: &[u8], below: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..=below(4) {
        let at = below(bytes.len() + 1);
        let end = (at + below(16)).min(bytes.len());
        match below(5) {
            0 => bytes[at..end].iter_mut().for_each(|byte| *byte ^= 0x20),
            1 => drop(bytes.drain(at..end)),
            2 => bytes.extend_from_within(at..end),
            3 => drop(bytes.splice(at..end, b"\"{}[]:,-&*!|>'\n\xff\x00".repeat(2).into_iter().take(1 + below(8)))),
            _ => {
                let from = below(other.len() + 1);
                let part = other[from..(from + below(64)).min(other.len())].to_vec();
                drop(bytes.splice(at..end, part));
            }
        }
    }
    bytes
}

#[test]
fn parsers_of_foreign_bytes_end_without_a_panic() {
    for (name, target) in TARGETS {
        let corpus = corpus(name);
        assert!(!corpus.is_empty(), "{name}");
        for input in &corpus {
            target(input);
        }
        let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
        let mut below = |limit: usize| usize::try_from(random.next_u32()).unwrap() % limit.max(1);
        for _ in 0..MUTATIONS {
            let (input, other) = (&corpus[below(corpus.len())], &corpus[below(corpus.len())]);
            target(&mutate(input, other, &mut below));
        }
    }
}
