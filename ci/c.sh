#!/usr/bin/env bash
# The C interface: its tests with a C program, and its installation as pkg-config finds it.
source "$(dirname "$0")/lib.sh"

step "C interface" cargo test -p slipring-c
installed() {
    local prefix=$PWD/target/c-prefix flags
    rm -rf "$prefix"
    bindings/c/install.sh "$prefix" --debug
    flags=$(PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --cflags --libs slipring)
    # shellcheck disable=SC2086
    cc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -Wextra -Werror -o "$prefix/peer" bindings/c/tests/c/peer.c $flags
    LD_LIBRARY_PATH=$prefix/lib "$prefix/peer" misuse "ci-$$"
    # The header is one for C++ too.
    echo '#include <slipring.h>' | c++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only -x c++ - $flags
}
step "C interface, installed" installed
