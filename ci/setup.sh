#!/usr/bin/env bash
# Installs what the other scripts need: compilers for C and C++, pkg-config, valgrind, rustfmt and clippy. Does nothing where they are there.
source "$(dirname "$0")/lib.sh"

if ! command -v cc >/dev/null || ! command -v c++ >/dev/null || ! command -v pkg-config >/dev/null \
    || ! command -v valgrind >/dev/null; then
    command -v apt-get >/dev/null || die "no compiler for C and C++, no pkg-config, or no valgrind: install gcc, g++, pkg-config and valgrind"
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -q
    $sudo apt-get install -q -y --no-install-recommends gcc g++ libc6-dev libc6-dbg pkg-config valgrind
fi
command -v cargo >/dev/null || die "no cargo: install Rust from https://rustup.rs"
cargo fmt --version >/dev/null 2>&1 || rustup component add rustfmt
cargo clippy --version >/dev/null 2>&1 || rustup component add clippy
