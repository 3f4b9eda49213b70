#!/usr/bin/env bash
# Runs every benchmark once, in criterion's test form, and a small run of put and get: proves that they still run, with what the
# tests are built with. For figures: cargo bench, benches/put_get.sh.
source "$(dirname "$0")/lib.sh"

# Without `--bench` criterion runs each once.
step "benchmarks, once each" cargo test -p slipring-benches --benches
PROFILE=dev step "put and get, 8 MB" benches/put_get.sh 8 1
