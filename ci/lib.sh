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

# `workspace test …` and `workspace build …`: cargo for the targets that the arguments name. What is built is built once: always for
# the whole workspace, with the features that its members want together. With `-p` each member would have its own set, and
# dependencies of its own. A build names an example, too: without one it leaves out what only tests want.
workspace() {
    local verb=$1
    shift
    cargo "$verb" --workspace "$@"
}

# `--test NAME` for each file of tests in these folders.
tests_in() {
    local folder file
    for folder in "$@"; do
        for file in "$folder"/*.rs "$folder"/*/main.rs; do
            [ -e "$file" ] || continue
            case $file in
            */main.rs) file=${file%/main.rs} ;;
            esac
            printf -- '--test %s ' "$(basename "$file" .rs)"
        done
    done
}
