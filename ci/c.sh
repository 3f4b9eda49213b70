#!/usr/bin/env bash
# The C interface: its tests with a C program, and its installation as pkg-config finds it.
source "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2046
step "C interface" workspace test $(tests_in bindings/c/tests)
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

example() {
    local prefix=$PWD/target/c-prefix name=readings-$$ receiver line
    workspace build -q --example sender
    # shellcheck disable=SC2046
    cc -std=c11 -Wall -Wextra -Werror -o "$prefix/receiver" bindings/c/examples/receiver.c \
        $(PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --cflags --libs slipring)
    LD_LIBRARY_PATH=$prefix/lib timeout 60 "$prefix/receiver" "$name" >"$prefix/received" &
    receiver=$!
    # Whoever comes first makes the queue; it must not be gone again before the other one comes.
    for _ in $(seq 100); do
        [ -e "${SLIPRING_DIR:-/dev/shm}/slipring.$name" ] && break
        sleep 0.05
    done
    timeout 60 target/debug/examples/sender "$name"
    wait "$receiver"
    line=$(cat "$prefix/received")
    echo "$line"
    [ "$line" = "1000 readings, 20.50 on average" ] || die "the C program received something else"
}
step "example: a Rust sender and a C receiver" example
