"""Runs each behaviour test against `multiprocessing` and against `slipring`.

A test that takes `mp` runs once for each module and start method: `test_x[multiprocessing-fork]`,
`test_x[slipring-fork]`. It runs under fork alone, unless it says what else matters:

    @pytest.mark.methods("fork", "spawn")
    @pytest.mark.only("slipring")

Where the package is not installed its tests are skipped; with SLIPRING_REQUIRED=1 they fail.
"""

import contextlib
import faulthandler
import importlib
import importlib.util
import os
import signal
import subprocess
import sys
import textwrap

import pytest
from helpers import UnderTest

MODULES = ("multiprocessing", "slipring")
# Seconds that one test may take: an alarm first, and the end of all of them if it is not heard.
PATIENCE = 40


def pytest_configure(config):
    config.addinivalue_line("markers", "methods(*names): start methods that a test runs under")
    config.addinivalue_line("markers", "only(name): the one module that a test is for")


def pytest_generate_tests(metafunc):
    if "mp" not in metafunc.fixturenames:
        return
    item = metafunc.definition
    methods = marked(item, "methods", ("fork",))
    modules = marked(item, "only", MODULES)
    params = [(module, method) for module in modules for method in methods]
    metafunc.parametrize("mp", params, indirect=True, ids=["-".join(p) for p in params])


def marked(item, name, default):
    marker = item.get_closest_marker(name)
    return marker.args if marker else default


@pytest.fixture
def mp(request):
    """The module under test with a start method: its context's factories, and `peer`."""
    name, method = request.param
    installed = importlib.util.find_spec(name) is not None
    if not installed and os.environ.get("SLIPRING_REQUIRED") != "1":
        pytest.skip(f"{name} is not installed")
    under_test = UnderTest(importlib.import_module(name), method)
    yield under_test
    under_test.end_peers()


@pytest.fixture(autouse=True)
def in_time():
    """Fails a test that hangs, by an alarm in the main thread."""

    def alarm(signum, frame):
        raise TimeoutError(f"the test took more than {PATIENCE} s")

    faulthandler.dump_traceback_later(PATIENCE + 20, exit=True)
    before = signal.signal(signal.SIGALRM, alarm)
    signal.alarm(PATIENCE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)
    faulthandler.cancel_dump_traceback_later()


@pytest.fixture(autouse=True)
def interruptible():
    """SIGINT is KeyboardInterrupt, also where a shell started this in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    with contextlib.suppress(TypeError):
        signal.signal(signal.SIGINT, before)


@pytest.fixture(params=[True, False], ids=["duplex", "one-way"])
def ends(request):
    """(receiver, sender) of a pipe of slipring's."""
    from slipring.connection import Pipe

    reader, writer = Pipe(request.param)
    yield reader, writer
    reader.close()
    writer.close()


@pytest.fixture
def both(tmp_path):
    """Runs a program with `python -m slipring` and with `python`: each exit code, output and complaint.

    With `control=False` it runs the first way alone. `python` are options of the interpreter.
    """

    def run(*args, files, options=(), control=True, python=(), typed=None):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text))
        ours = one([*python, "-m", "slipring", *options, *args], typed)
        return [ours, one([*python, *args], typed) if control else None]

    def one(args, typed):
        typed = {"stdin": subprocess.DEVNULL} if typed is None else {"input": typed}
        program = [sys.executable, *args]
        done = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, timeout=60, **typed)
        return done.returncode, done.stdout, done.stderr

    return run
