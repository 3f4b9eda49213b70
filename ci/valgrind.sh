#!/usr/bin/env bash
# Two processes with a queue, a pipe and a mutex under valgrind's memcheck, which must find nothing; and one mistake that
# memcheck must find, so that its silence means something.
source "$(dirname "$0")/lib.sh"

command -v valgrind >/dev/null || ci/setup.sh
target=${CARGO_TARGET_DIR:-target}
# Valgrind keeps notes about all address space that is mapped.
export SLIPRING_RESERVE=256M

silent() {
    local said
    workspace build -q --example two_processes
    said=$(timeout -k 5 300 valgrind --error-exitcode=9 --quiet --trace-children=yes "$target/debug/examples/two_processes" 2>&1) \
        || die "memcheck: $said"
    echo "$said"
    [ "$said" = "200 messages of 10255250 bytes, counted 400 times by two processes" ] || die "it did something else"
}
step "memcheck" silent

mistake() {
    local code=0
    printf '#include <stdlib.h>\nint main(void) { volatile char *p = malloc(1); *p = 0; free((void *)p); return *p; }\n' \
        | cc -x c -w -o "$target/mistake" -
    valgrind --error-exitcode=9 --quiet "$target/mistake" >/dev/null 2>&1 || code=$?
    [ "$code" = 9 ] || die "memcheck did not find a read of freed memory: it ended with $code"
}
step "memcheck finds a mistake" mistake
