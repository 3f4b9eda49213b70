#!/usr/bin/env bash
# Tests between real processes. SLIPRING_KILL_SECONDS sets how long the random kills go on (10).
source "$(dirname "$0")/lib.sh"

# `crash` needs another build: ci/crash.sh.
tests=$(tests_in tests/tests)
# shellcheck disable=SC2086
step "tests between processes" workspace test ${tests/--test crash /}
