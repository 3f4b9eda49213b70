#!/usr/bin/env bash
# SIGKILL at every crash point of every operation; the same with recovery switched off, which must fail; and SIGSTOP at
# every point of a queue's operations.
source "$(dirname "$0")/lib.sh"

step "killed at every step" workspace test --features slipring-tests/crash --test crash
