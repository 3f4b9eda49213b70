#!/usr/bin/env bash
# For daily work: format, clippy, and the tests that take a moment. Under two minutes once everything is built. ci/test.sh runs
# all tests.
source "$(dirname "$0")/lib.sh"

step "layers" ci/layers.sh
step "format" cargo fmt --all --check
step "clippy" cargo clippy -q --workspace --all-targets -- -D warnings
# shellcheck disable=SC2046
step "unit and property tests" workspace test -q --lib --bins $(tests_in core/tests shm/tests)
# What a death, a name and a closed descriptor do.
step "a choice of tests between processes" workspace test -q --test deaths --test names --test descriptors
printf '\nquick checks passed in %d s\n' "$SECONDS"
