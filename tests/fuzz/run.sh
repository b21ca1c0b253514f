#!/usr/bin/env bash
# Fuzzes the parsers of foreign bytes: tests/fuzz/run.sh [SECONDS [TARGET...]]
#
# Runs each target for SECONDS (default 10), from the inputs in tests/fuzz/corpus. A crash, a timeout of 10 s or more than
# 2 GB of memory is a finding: the input is kept in tests/fuzz/findings. Needs a C++ compiler, no nightly Rust. New inputs
# stay in target/fuzz; copy those worth keeping into the corpus.

set -euo pipefail
cd "$(dirname "$0")"

seconds=${1:-10}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(yaml toml settings migration sum ledger schema)

export CARGO_TARGET_DIR=${FLOWSMITH_FUZZ_TARGET_DIR:-../../target/fuzz}
export RUSTFLAGS='-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=4'
host=$(rustc -vV | sed -n 's/^host: //p')
cargo build --release --quiet --target "$host"
program=$CARGO_TARGET_DIR/$host/release/flowsmith-fuzz

mkdir -p findings
for target in "${targets[@]}"; do
    new=$CARGO_TARGET_DIR/corpus/$target
    mkdir -p "$new"
    log=$CARGO_TARGET_DIR/$target.log
    # The cases of the check are flow files that fail in many ways.
    case $target in yaml | toml) seeds=(../cases/check) ;; *) seeds=() ;; esac
    if ! FLOWSMITH_FUZZ=$target "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=65536 \
        -artifact_prefix="findings/$target-" -print_final_stats=1 "$new" "corpus/$target" "${seeds[@]}" >"$log" 2>&1; then
        tail -n 40 "$log"
        echo "$target: FOUND, see tests/fuzz/findings" >&2
        exit 1
    fi
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    echo "$target: $executions executions in $seconds s, no finding"
done
rmdir findings 2>/dev/null || true
