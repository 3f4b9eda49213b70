"""What processes leave behind: nothing, and no descriptors that nobody asked for."""

import contextlib
import gc
import os
import signal
import subprocess
import sys

import children
import pytest
from helpers import SOON, eventually

pytestmark = pytest.mark.only("slipring")
METHODS = pytest.mark.methods("fork", "spawn", "forkserver")

# A program of its own that makes one of each, shares them with a child, and says when it has.
PROGRAM = """
import sys
import slipring
import children

if __name__ == "__main__":
    context = slipring.get_context(sys.argv[1])
    everything = children.one_of_each(context)
    process = context.Process(target=children.use_all, args=(everything,))
    process.start()
    everything["queue"].get()
    print(process.pid, flush=True)
    if sys.argv[2] == "end":
        everything["event"].set()
        process.join()
    else:
        sys.stdin.read()
"""


def shared_memory():
    return set(os.listdir("/dev/shm"))


def nothing_new(before):
    """Checks that nothing was added that stays; other programs of this machine may add things for a moment."""
    eventually(lambda: shared_memory() <= before)


@pytest.fixture
def program(mp, tmp_path):
    """Starts the program; gives it and its child's process number."""
    path = tmp_path / "program.py"
    path.write_text(PROGRAM, encoding="utf-8")
    started = []

    def start(how):
        env = os.environ | {"PYTHONPATH": os.path.dirname(children.__file__)}
        process = subprocess.Popen(
            [sys.executable, path, mp.method, how],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process, int(process.stdout.readline() or 0)

    yield start
    for process in started:
        # Its children too: they wait for an event that nobody sets any more.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def gone(pid):
    """Whether the process has ended, or waits for its parent to see that it has."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


@METHODS
def test_an_exit_leaves_no_shared_memory_and_no_complaint(program):
    before = shared_memory()
    process, child = program("end")
    _, errors = process.communicate(timeout=SOON)
    assert (process.returncode, errors) == (0, "")
    assert gone(child)
    nothing_new(before)


@METHODS
def test_a_kill_leaves_no_shared_memory(program):
    before = shared_memory()
    process, child = program("wait")
    assert child, process.stderr.read() if process.poll() else "no child"
    process.kill()
    os.kill(child, signal.SIGKILL)
    process.wait()
    eventually(lambda: gone(child))
    # Nothing needs to tidy up: it was never there.
    nothing_new(before)


@METHODS
def test_nothing_is_under_dev_shm_while_objects_are_used(program):
    before = shared_memory()
    program("wait")
    nothing_new(before)


def test_no_resource_tracker_is_started(program):
    process, child = program("wait")
    assert child
    with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="utf-8") as children_of:
        assert children_of.read().split() == [str(child)]


def descriptors():
    """How many this process has, without those of other tests' rubbish."""
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


def test_ten_thousand_locks_cost_one_descriptor(mp):
    first = mp.Lock()
    before = descriptors()
    locks = [mp.Lock() for _ in range(10_000)]
    assert descriptors() == before
    for lock in locks:
        assert lock.acquire(False) is True
    assert locks[9_999].acquire(False) is False
    assert first.acquire(False) is True


@pytest.mark.methods("fork", "spawn")
def test_ten_thousand_locks_go_to_another_process(mp):
    locks = [mp.Lock() for _ in range(10_000)]
    locks[7_000].acquire()
    q = mp.SimpleQueue()
    process = mp.start(children.try_all, locks, q)
    assert q.get() == [7_000]
    process.join(SOON)
    assert process.exitcode == 0


@pytest.mark.parametrize("kind", ("Lock", "RLock", "Semaphore", "Condition", "Event", "Queue", "JoinableQueue"))
def test_objects_that_come_and_go_cost_nothing_in_the_end(mp, kind):
    make = getattr(mp, kind)
    kept = [make() for _ in range(10)]
    before = descriptors()
    for _ in range(500):
        make()
    assert descriptors() == before
    assert len(kept) == 10


def test_pipes_give_their_descriptors_back(mp):
    mp.Pipe()
    before = descriptors()
    for _ in range(300):
        one, other = mp.Pipe()
        other.send(1)
        one.close()
    del one, other
    assert descriptors() == before


def test_values_that_come_and_go_cost_nothing_in_the_end(mp):
    before = descriptors()
    for _ in range(200):
        array = mp.RawArray("b", 4 << 20)
        array[0] = 1
    del array
    assert descriptors() <= before + 1


@pytest.mark.methods("fork", "spawn")
def test_processes_that_come_and_go_cost_nothing_in_the_end(mp):
    q, lock = mp.Queue(), mp.Lock()
    before = None
    for number in range(12):
        process = mp.start(children.try_to_acquire, lock, q)
        q.get(timeout=SOON)
        process.join(SOON)
        process.close()
        if number == 1:
            before = descriptors()
        lock.acquire(False)
    assert descriptors() <= before
