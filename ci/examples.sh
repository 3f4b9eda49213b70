#!/usr/bin/env bash
# Builds and runs every example program.
source "$(dirname "$0")/lib.sh"

examples=(shm/examples/*.rs)
[ -e "${examples[0]}" ] || die "there are no examples"
step "build" workspace build -q --examples
for example in "${examples[@]}"; do
    name=$(basename "$example" .rs)
    step "example $name" timeout 60 "${CARGO_TARGET_DIR:-target}/debug/examples/$name"
done
