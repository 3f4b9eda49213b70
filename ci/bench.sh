#!/usr/bin/env bash
# Runs every benchmark once, in criterion's test form, and a small run of put and get: proves that they still run, with what the
# tests are built with. For figures: cargo bench, benches/put_get.sh.
source "$(dirname "$0")/lib.sh"

# Without `--bench` criterion runs each once.
benches=()
for bench in benches/benches/*.rs; do
    benches+=(--bench "$(basename "$bench" .rs)")
done
step "benchmarks, once each" workspace test "${benches[@]}"
step "build put and get" workspace build -q --bin slipring --example by_line
BUILT=${CARGO_TARGET_DIR:-target}/debug step "put and get, 8 MB" benches/put_get.sh 8 1
