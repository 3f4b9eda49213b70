#!/usr/bin/env bash
# Every model, every interleaving with up to three preemptions.
source "$(dirname "$0")/lib.sh"

models=(core/tests/loom_*.rs)
[ -e "${models[0]}" ] || die "there are no models"
names=()
for model in "${models[@]}"; do
    names+=(--test "$(basename "$model" .rs)")
done
run() {
    RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS="${LOOM_MAX_PREEMPTIONS:-3}" \
        cargo test --profile quick -p slipring-core --target-dir target/loom "${names[@]}"
}
step "${#models[@]} files of models" run
