"""Queues with names, which other programs use, too."""

import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from slipring import _native
from slipring.queues import JoinableQueue, Queue


@pytest.fixture
def names(tmp_path):
    """A directory for names, on a tmpfs; unique names where there is none but /dev/shm."""
    prefix = f"test-{os.getpid()}-{time.monotonic_ns()}"
    yield lambda name: f"{prefix}-{name}"
    left = [p for p in Path("/dev/shm").glob(f"slipring.{prefix}*")]
    assert left == []


def test_a_named_queue_is_one_queue(names):
    q = Queue(name=names("jobs"), maxsize=2)
    same = Queue(name=names("jobs"))
    q.put({"a": 1})
    assert same.get() == {"a": 1} and same.name == q.name
    same.put_many([1, 2])
    assert q.full()
    code = f"from slipring.queues import Queue; q = Queue(name={q.name!r}); q.put(q.get() + 41)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert sorted(q.get_many(5)) == [2, 42]
    again = pickle.loads(pickle.dumps(q))
    again.put("x")
    assert q.get() == "x"


def test_a_named_queue_of_another_kind_is_refused(names):
    q = Queue(name=names("kind"))
    with pytest.raises(TypeError):
        JoinableQueue(name=q.name)
    with pytest.raises(ValueError):
        Queue(name="a/b")


PROGRAM = next(
    (p for d in ("debug", "release") if (p := Path(__file__).parents[3] / "target" / d / "slipring").exists()),
    shutil.which("slipring"),
)


@pytest.mark.skipif(
    PROGRAM is None and "SLIPRING_REQUIRED" not in os.environ,
    reason="the program is not built: cargo build -p slipring-cli",
)
def test_bytes_of_the_program_are_bytes_here_and_back(names):
    q = Queue(name=names("shell"))
    # It waits until what it put was taken.
    with subprocess.Popen([PROGRAM, "put", q.name], stdin=subprocess.PIPE) as putting:
        putting.stdin.write(b"from the shell")
        putting.stdin.close()
        got = q.get(timeout=20)
        assert type(got) is bytes and got.rstrip(b"\n") == b"from the shell"
        assert putting.wait(20) == 0
    q.put(b"to the shell")
    with subprocess.Popen([PROGRAM, "get", q.name], stdout=subprocess.PIPE) as getting:
        assert b"to the shell" in getting.stdout.readline()
        getting.terminate()
    assert q.name in subprocess.run([PROGRAM, "ls"], capture_output=True, text=True).stdout


def test_foreign_bytes_with_a_mark_are_an_error_and_taken():
    # A hostile or broken peer can say anything; the next item comes all the same.
    q = Queue()
    for garbage in (b"", b"\x04", b"\xff" * 30, b"\x09" + b"\xff" * 40, b"\x80\x05"):
        with pytest.raises((pickle.UnpicklingError, EOFError)):
            _native.decode_message(garbage)
    q.put(1)
    assert q.get() == 1
