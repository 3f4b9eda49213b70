#!/usr/bin/env bash
# For daily work: format, clippy, and the tests that take a moment. Under two minutes once everything is built. ci/test.sh runs
# all tests.
source "$(dirname "$0")/lib.sh"

step "layers" ci/layers.sh
step "format" cargo fmt --all --check
step "clippy" cargo clippy -q --workspace --all-targets -- -D warnings
step "unit and property tests" cargo test -q --workspace --exclude slipring-tests --exclude slipring-benches --exclude slipring-c \
    --features slipring/tokio --lib --bins --tests
# One of each kind: what a death, a fork, a name and a closed descriptor do.
step "a choice of tests between processes" cargo test -q -p slipring-tests --test deaths --test names --test descriptors
printf '\nquick checks passed in %d s\n' "$SECONDS"
