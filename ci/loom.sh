#!/usr/bin/env bash
# Every model, every interleaving with up to three preemptions.
source "$(dirname "$0")/lib.sh"

run() {
    RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}" \
        cargo test --profile quick -p slipring-core --target-dir target/loom --test models
}
step "models" run
