# Commands for working on flowsmith; `just` lists them. Each is one line of cargo that you can run without just.

_default:
    @just --list

# Tests without a server, in seconds
fast:
    cargo test --workspace --lib --test fast

# One test, or all whose path contains NAME
test NAME:
    cargo test --test it -- {{NAME}}

# Every test but the soaks
all:
    cargo test

# Whole matrices and long observations: the tests that `cargo test` lists as ignored
soak:
    cargo soak

# What a change has to pass
ci:
    .ci/run

# Rewrite generated files and snapshots; read the diff afterwards
update:
    UPDATE=1 INSTA_UPDATE=always cargo test

# Format and lint
lint:
    cargo fmt --all
    cargo clippy --workspace --all-targets -- -D warnings

# The engine beside pgmq and the official one
bench:
    cargo bench --bench engine -- --quick
