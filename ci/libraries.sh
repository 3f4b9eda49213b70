#!/usr/bin/env bash
# Runs the own tests of libraries that people use with multiprocessing, with slipring in its place: joblib, loky, pebble, mpire, pynisher
# and what scikit-learn does with joblib. What passes without slipring must pass with it.
#
#   ci/libraries.sh               all of them: an hour on two cores
#   ci/libraries.sh --short       a choice of joblib's, pebble's and loky's, in less than a minute
#   ci/libraries.sh pebble mpire  these alone
#
# The libraries are installed into target/venv-libraries, in the versions of ci/library_tests/requirements.txt. Tests that are not in
# an installed package are taken from the registry's source archives. Those of mpire and pynisher are in their repositories alone: at
# https://github.com, or below LIBRARIES_GIT as OWNER/NAME or OWNER+NAME/repo. Where neither can be reached, a few tests of ours
# (ci/library_tests) are all that is run of these two, and it is said so.
source "$(dirname "$0")/lib.sh"

python=${PYTHON:-python3}
venv=$PWD/target/venv-libraries
sources=$PWD/target/libraries
requirements=ci/library_tests/requirements.txt
short=false
chosen=()
for argument in "$@"; do
    case $argument in
    --short) short=true ;;
    -*) die "unknown option $argument; see the head of ci/libraries.sh" ;;
    *) chosen+=("$argument") ;;
    esac
done
if [ ${#chosen[@]} = 0 ]; then
    if $short; then chosen=(joblib pebble loky); else chosen=(joblib pebble loky mpire pynisher scikit-learn); fi
fi

for name in "${chosen[@]}"; do
    [[ " joblib loky pebble mpire pynisher scikit-learn " == *" $name "* ]] ||
        die "there is no library $name here: joblib, loky, pebble, mpire, pynisher, scikit-learn"
done

version() {
    sed -n "s/^$1==//p" "$requirements"
}

environment() {
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    local wanted=() line
    while read -r line; do
        case $line in
        '#'* | '') ;;
        mpire==* | pynisher==* | scikit-learn==*) $short || wanted+=("$line") ;;
        *) wanted+=("$line") ;;
        esac
    done <"$requirements"
    "$venv/bin/pip" install -q --disable-pip-version-check 'maturin>=1.9,<2' "${wanted[@]}" ||
        die "the registry does not give what $requirements names"
}

install_package() {
    VIRTUAL_ENV=$venv "$venv/bin/maturin" develop -q --manifest-path bindings/python/Cargo.toml "$@"
}

# The source archive of a library that is in the registry.
archive() {
    local name=$1 folder=$sources/$1
    [ "$(cat "$folder/.version" 2>/dev/null)" = "$(version "$name")" ] && return
    rm -rf "$folder" && mkdir -p "$folder"
    "$venv/bin/pip" download -q --disable-pip-version-check --no-deps --no-binary "$name" -d "$folder" "$name==$(version "$name")" ||
        die "the registry gives no source archive of $name $(version "$name")"
    tar xzf "$folder"/*.tar.gz -C "$folder" --strip-components=1
    # It is installed: tests are not to find the package here.
    rm -rf "${folder:?}/$name"
    version "$name" >"$folder/.version"
}

# The tests of a library that has them in its repository alone: name, owner, revision, folder of the tests.
repository() {
    local name=$1 owner=$2 revision=$3 folder=$sources/$1 from=
    [ "$(cat "$folder/.version" 2>/dev/null)" = "$revision" ] && return
    rm -rf "$folder" && mkdir -p "$sources"
    local base=${LIBRARIES_GIT:-https://github.com}
    from=$base/$owner/$name
    if [ -d "$base/$owner+$name/repo" ]; then from=$base/$owner+$name/repo; fi
    if ! GIT_TERMINAL_PROMPT=0 git clone -q "$from" "$folder"; then
        printf 'note: %s has its tests in its repository alone, and %s cannot be cloned: set LIBRARIES_GIT\n' "$name" "$from"
        return
    fi
    git -C "$folder" checkout -q "$revision" || die "$from has no revision $revision"
    rm -rf "${folder:?}/$name" "$folder/.git"
    echo "$revision" >"$folder/.version"
}

tests() {
    mkdir -p "$sources"
    local name
    for name in "${chosen[@]}"; do
        case $name in
        joblib | scikit-learn) ;; # in the installed package
        pebble | loky) archive "$name" ;;
        mpire) repository mpire sybrenjansen v2.10.2 ;;
        pynisher) repository pynisher automl 608ae2f7a102b399d28d7643a7263c6cdff7af10 ;;
        esac
    done
}

step "libraries" environment
if $short; then step "package" install_package; else step "package, with optimisations" install_package --release; fi
step "the libraries' tests" tests
options=(--sources "$sources")
if $short; then options+=(--short); fi
step "comparison with multiprocessing" "$venv/bin/python" ci/libraries.py "${options[@]}" "${chosen[@]}"
