#!/usr/bin/env bash
# Tests between real processes. SLIPRING_KILL_SECONDS sets how long the random kills go on (10).
source "$(dirname "$0")/lib.sh"

step "tests between processes" cargo test -p slipring-tests
