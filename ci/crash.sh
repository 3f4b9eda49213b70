#!/usr/bin/env bash
# SIGKILL at every crash point of every operation; and the same with recovery switched off, which must fail.
source "$(dirname "$0")/lib.sh"

step "killed at every step" cargo test -p slipring-tests --features crash --test crash --target-dir target/crash
