#!/usr/bin/env bash
# Slipring beside its rivals, in short samples: proves that every one of them still runs. For figures:
# benches/comparison/README.md. Arguments go to cargo: `ci/comparison.sh --no-default-features` leaves iceoryx2 out.
source "$(dirname "$0")/lib.sh"

# A directory of its own: it is a workspace of its own. The profile is built in half the time.
dir=target/comparison
manifest=(--manifest-path benches/comparison/Cargo.toml --locked --profile quick --target-dir "$dir" "$@")
program=$dir/quick/slipring-comparison
results=$dir/results

[ "$(nproc)" -ge 2 ] || die "two CPUs are needed: one for each side of a channel"

measure() {
    mkdir -p "$results"
    rm -f "$results"/*
    "$program" --quick --out "$results" >/dev/null 2>"$results/log" ||
        { tail -n 40 "$results/log" >&2; die "the comparison failed: $results/log"; }
    ! grep ' failed: ' "$results/log" >&2 || die "a channel failed: $results/log"
    [ -s "$results/results.md" ] || die "there is no table"
    # A file without a sample of every channel is a failure.
    "$program" check "$results/results.json"
}

step "build" cargo build "${manifest[@]}"
step "tests of statistics and tables" cargo test -q "${manifest[@]}"
step "every channel in every scenario, twice" measure
