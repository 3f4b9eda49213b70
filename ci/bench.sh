#!/usr/bin/env bash
# Runs every benchmark once, in criterion's test form: proves that they still run. For figures: cargo bench.
source "$(dirname "$0")/lib.sh"

step "benchmarks, once each" cargo bench -p slipring-benches --benches -- --test
