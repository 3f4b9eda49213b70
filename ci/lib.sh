# What the scripts in this folder have in common. Sourced, not run.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# Says what is being done, and how long it took when it is done.
step() {
    local name=$1 start=$SECONDS
    shift
    printf '\n== %s\n' "$name"
    "$@"
    printf '== %s: ok, %d s\n' "$name" "$((SECONDS - start))"
}

# Fails with a sentence.
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
