#!/usr/bin/env bash
# Makes the virtual environment target/venv from python3 and installs the Python package there, as it is in this tree.
#
#   ci/venv.sh             a debug build, with what the tests need
#   ci/venv.sh --release   with optimisations: for benchmarks and for daily use, with what the benchmarks need
source "$(dirname "$0")/lib.sh"

python=${PYTHON:-python3}
venv=target/venv

packages() {
    command -v apt-get >/dev/null || die "$1"
    local sudo
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -q
    $sudo apt-get install -q -y --no-install-recommends "${@:2}"
}

environment() {
    command -v "$python" >/dev/null || packages "no $python: install Python 3.11 or later" python3 python3-venv
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || die "$python is older than 3.11"
    local version
    version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        packages "$python cannot make virtual environments: install its module venv" "python$version-venv"
    # CPython's own tests, which Debian has in a package of their own.
    "$python" -c 'import test._test_multiprocessing' 2>/dev/null ||
        packages "$python lacks its module test: install it" "libpython$version-testsuite"
    [ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
    "$venv/bin/pip" install -q --disable-pip-version-check --upgrade "$@"
}

install_package() {
    # In a folder of its own: cargo's tests of the same crates are built with other features.
    VIRTUAL_ENV=$PWD/$venv "$venv/bin/maturin" develop -q --manifest-path bindings/python/Cargo.toml "$@"
}

if [ "${1:-}" = --release ]; then
    step "virtual environment" environment 'maturin>=1.9,<2' numpy faster-fifo
    step "package, with optimisations" install_package --release
else
    step "virtual environment" environment 'maturin>=1.9,<2' numpy pytest pytest-timeout pytest-xdist ruff mypy
    step "package" install_package
fi
