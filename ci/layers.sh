#!/usr/bin/env bash
# No circle of files, and no arrow up the layers that ARCHITECTURE.md draws. `ci/layers.py --help` says what an arrow is.
source "$(dirname "$0")/lib.sh"

python3 ci/layers.py --self-test
python3 ci/layers.py
