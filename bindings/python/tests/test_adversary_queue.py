"""Queues and odd programs."""

import subprocess
import sys

import pytest

slipring = pytest.importorskip("slipring")


class Resizes:
    """Changes a bytearray while what it is part of is pickled."""

    def __init__(self, change):
        self.change = change

    def __reduce__(self):
        self.change()
        return str, ("pickled",)


@pytest.mark.parametrize("change", ["clear", "extend"])
def test_a_bytearray_that_changes_its_size_while_it_is_pickled_is_an_error_of_put(change):
    data = bytearray(b"a" * 200_000)
    resize = data.clear if change == "clear" else lambda: data.extend(b"b" * 1000)
    queue, (reader, writer) = slipring.Queue(), slipring.Pipe(duplex=False)
    for put in queue.put, writer.send:
        data[:] = b"a" * 200_000
        with pytest.raises(RuntimeError, match="changed its size"):
            put([data, Resizes(resize)])
    assert queue.empty()
    assert not reader.poll()


def test_a_bytearray_that_keeps_its_size_passes():
    data = bytearray(b"a" * 200_000)
    queue = slipring.Queue()
    queue.put([b"x" * 70_000, data, "y" * 70_000, data, bytearray(100_000), Resizes(lambda: None)])
    first, second, third, fourth, fifth, _ = queue.get()
    assert (first, second, third, fifth) == (b"x" * 70_000, data, "y" * 70_000, bytearray(100_000))
    assert second is fourth


@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue"])
def test_a_queue_that_was_never_made_says_so_or_does_nothing(kind):
    cls = getattr(slipring.queues, kind)
    queue = cls.__new__(cls)
    queue.close()
    queue.cancel_join_thread()
    assert queue.name is None
    assert kind in repr(queue)
    for call in queue.get, queue.qsize, queue.empty, queue.full, lambda: queue.put(1), lambda: queue.put_many([1]):
        with pytest.raises(RuntimeError, match="__init__"):
            call()


@pytest.mark.parametrize("maxsize", [(1 << 26) + 1, 10**9, 2**31 - 1])
def test_a_queue_may_have_any_size_that_multiprocessing_takes(maxsize):
    queue = slipring.Queue(maxsize)
    queue.put("hello")
    assert not queue.full()
    assert queue.get() == "hello"


BLOCKED = """
import atexit, os, sys, threading, time
import slipring

queue, full, lock, event = slipring.Queue(), slipring.Queue(1), slipring.Lock(), slipring.Event()
tasks, (reader, writer), changed = slipring.JoinableQueue(), slipring.Pipe(), slipring.Condition()
full.put(0), tasks.put(0), lock.acquire()

def wait():
    with changed:
        changed.wait()

def busy():
    while True:
        full.get(), full.put([0] * 50_000)

calls = [queue.get, lambda: full.put(b"x" * 10**6), lambda: queue.get_many(3), reader.recv, lock.acquire, event.wait]
calls += [tasks.join, wait, slipring.Barrier(2).wait, slipring.Semaphore(0).acquire, busy]
for call in calls * 2:
    threading.Thread(target=call, daemon=True).start()
time.sleep(0.15)
{end}
"""


@pytest.mark.parametrize(
    ("end", "code"),
    [("", 0), ("sys.exit(7)", 7), ("os._exit(8)", 8), ("1 / 0", 1), ("atexit.register(time.sleep, 0.3)", 0)],
)
def test_a_program_ends_while_its_threads_wait_for_everything(end, code):
    program = [sys.executable, "-X", "faulthandler", "-c", BLOCKED.format(end=end)]
    done = subprocess.run(program, capture_output=True, text=True, timeout=30)
    assert done.returncode == code, done.stderr
    assert not done.stderr or done.stderr.endswith("ZeroDivisionError: division by zero\n")
