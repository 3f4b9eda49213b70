# What the scripts in this folder have in common. Sourced, not run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Says what is being done, and how long it took when it is done: also to the file STEPS, if a script asks for that.
step() {
    local name=$1 start=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    "$@"
    printf '== %s: ok, %d s\n' "$name" "$((SECONDS - start))"
    [ -z "${STEPS:-}" ] || printf '%d %s\n' "$((SECONDS - start))" "$name" >>"$STEPS"
}

# Fails with a sentence.
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
