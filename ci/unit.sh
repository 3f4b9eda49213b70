#!/usr/bin/env bash
# Unit tests, property tests, the program's own tests; examples in the documentation, README.md and the guide.
source "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2046
step "unit and property tests" workspace test --lib --bins $(tests_in core/tests shm/tests cli/tests)
step "examples in the documentation" workspace test --doc
