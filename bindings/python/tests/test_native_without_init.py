"""Locks of subclasses that never call ``super().__init__()``, where making what is inside fails: no crash."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource
import slipring.synchronize

class Lazy(slipring.synchronize.{kind}):
    def __init__(self):
        pass

lock = Lazy()
resource.setrlimit(resource.RLIMIT_NOFILE, (0, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
for call in (lock.acquire, lock.__enter__, lock.release, lambda: lock.acquire(False)):
    try:
        call()
    except Exception as error:
        print(type(error).__name__)
    else:
        print("no error")
"""


@pytest.mark.parametrize("kind", ["Lock", "RLock", "Semaphore", "BoundedSemaphore"])
def test_a_lock_that_cannot_be_made_at_its_first_use_is_an_exception(kind):
    program = PROGRAM.format(kind=kind)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.split()
    assert len(lines) == 4, done.stdout
    assert "no" not in lines and "PanicException" not in lines, lines
