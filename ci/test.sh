#!/usr/bin/env bash
# Installs what the tests need, and runs all of them: under 15 minutes on two cores.
source "$(dirname "$0")/lib.sh"

ci/setup.sh
for check in lint unit loom process crash c python fuzz examples valgrind bench; do
    "ci/$check.sh"
done
# Without iceoryx2, which takes a minute to build.
ci/comparison.sh --no-default-features
printf '\nall checks passed in %d s\n' "$SECONDS"
