#!/usr/bin/env bash
# The Python package: format and lint, its tests, the documents' programs, CPython's own tests under every start method.
source "$(dirname "$0")/lib.sh"

ci/venv.sh
python=$PWD/target/venv/bin/python
export SLIPRING_REQUIRED=1

lint() {
    target/venv/bin/ruff format --check -q bindings/python benches/python ci
    target/venv/bin/ruff check -q bindings/python benches/python ci
}
step "format and lint of Python" lint
# Its queues are Python's, too.
step "the program" workspace build -q --bin slipring --example by_line
# Most of them wait for processes most of the time. Those that look at what is left in the machine want to be alone in it.
tests=bindings/python/tests
step "Python tests" "$python" -m pytest -q --timeout 300 -n 4 --ignore "$tests/test_leftovers.py" "$tests"
step "Python tests of what is left behind" "$python" -m pytest -q --timeout 300 "$tests/test_leftovers.py"
step "CPython's own tests" "$python" bindings/python/tests/cpython_suite.py --module slipring --method all
# Under another interpreter too, where there is one.
if command -v python3.13 >/dev/null && python3.13 -c 'import test._test_multiprocessing' 2>/dev/null; then
    other() {
        [ -x target/venv-3.13/bin/python ] || python3.13 -m venv target/venv-3.13
        target/venv-3.13/bin/pip install -q --disable-pip-version-check 'maturin>=1.9,<2'
        VIRTUAL_ENV=$PWD/target/venv-3.13 target/venv-3.13/bin/maturin develop -q --manifest-path bindings/python/Cargo.toml
        target/venv-3.13/bin/python bindings/python/tests/cpython_suite.py --module slipring --method all
    }
    step "CPython 3.13's own tests" other
fi
step "libraries' own tests, in short" ci/libraries.sh --short
compare() {
    "$python" benches/python/compare.py --quick --rounds 1 --no-faster-fifo
}
step "comparison with multiprocessing, in short" compare
