#!/usr/bin/env bash
# Unit tests, property tests, examples in the documentation, the program's own tests.
source "$(dirname "$0")/lib.sh"

step "unit and property tests" cargo test --workspace --exclude slipring-tests --exclude slipring-benches \
    --features slipring/tokio
