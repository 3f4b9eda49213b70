#!/usr/bin/env bash
# Runs every benchmark once, in criterion's test form, and a small run of put and get: proves that they still run. For
# figures: cargo bench, benches/put_get.sh.
source "$(dirname "$0")/lib.sh"

step "benchmarks, once each" cargo bench --profile quick -p slipring-benches --benches -- --test
PROFILE=quick step "put and get, 8 MB" benches/put_get.sh 8 1
