"""Pipes under forks, threads that are blocked, and signals."""

import os
import signal
import threading
import time

import pytest
from forks import exit_code, forked, in_thread, is_asleep
from helpers import eventually
from slipring.connection import Pipe, wait


def blocked_reader(reader):
    """A thread that is blocked in `recv`."""
    tids = []
    join = in_thread(lambda: (tids.append(threading.get_native_id()), reader.recv())[1])
    eventually(lambda: tids and is_asleep(tids[0]))
    return join


def test_a_child_of_a_fork_while_a_thread_was_blocked_has_a_working_copy_whose_close_is_one():
    one, two = Pipe()
    join = blocked_reader(one)
    child = forked(lambda: one.send("from the child") or one.close() or signal.pause())
    assert two.recv() == "from the child"
    two.send("wake up")
    assert join() == "wake up"
    one.close()
    # The child lives, and has closed its copy, so this was the last one.
    with pytest.raises(EOFError):
        two.recv()
    with pytest.raises(BrokenPipeError):
        two.send(1)
    os.kill(child, signal.SIGKILL)
    exit_code(child)


def test_a_child_of_a_fork_while_a_thread_was_blocked_receives():
    one, two = Pipe()
    join = blocked_reader(one)

    def work():
        assert one.recv() == "second"
        one.send("got it")

    child = forked(work)
    two.send("first")
    assert join() == "first"
    two.send("second")
    assert two.recv() == "got it"
    assert exit_code(child) == 0


def test_a_child_of_a_fork_while_a_thread_was_blocked_in_send_closes_its_copy():
    reader, writer = Pipe(False)
    join = in_thread(lambda: [writer.send_bytes(bytes(4000)) for _ in range(200)])
    eventually(lambda: not writer._try_send(bytes(4000)))
    child = forked(lambda: writer.close() or signal.pause())
    received = 0
    while received < 200:
        received += len(reader.recv_bytes()) == 4000
    join()
    while reader.poll():
        reader.recv_bytes()
    writer.close()
    eventually(reader.poll)
    with pytest.raises(EOFError):
        reader.recv_bytes()
    os.kill(child, signal.SIGKILL)
    exit_code(child)


def test_forks_while_threads_are_busy_do_not_deadlock():
    one, two = Pipe()
    stop = threading.Event()

    def echo():
        while not stop.is_set():
            if two.poll(0.01):
                two.send(two.recv())

    def ask():
        for number in range(300):
            one.send(number)
            assert one.recv() == number

    joins = [in_thread(echo)]
    asking = in_thread(ask)
    children = []
    for _ in range(12):

        def work():
            one.close()
            two.close()
            mine, other = Pipe()
            mine.send(1)
            return 0 if other.recv() == 1 else 1

        children.append(forked(work))
    assert asking() is None
    stop.set()
    assert [join() for join in joins] == [None]
    assert [exit_code(child) for child in children] == [0] * 12


def test_a_signal_handler_may_fork_in_the_middle_of_a_recv():
    one, two = Pipe()
    children = []

    def handler(*_):
        children.append(os.fork())

    old = signal.signal(signal.SIGUSR1, handler)
    try:
        main = os.getpid()

        def work():
            eventually(lambda: is_asleep(main))
            os.kill(main, signal.SIGUSR1)
            time.sleep(0.2)  # both are at it again
            two.send("a")
            two.send("b")

        helper = forked(work)
        code = 98
        try:
            message = one.recv()
            if children[0] == 0:
                one.close()
                code = 0 if message in ("a", "b") and one.closed else 97
        finally:
            if children and children[0] == 0:
                os._exit(code)
        assert message in ("a", "b")
        assert exit_code(children[0]) == 0
        assert exit_code(helper) == 0
        one.close()
        with pytest.raises(BrokenPipeError):
            two.send("both have closed it")
    finally:
        signal.signal(signal.SIGUSR1, old)


def test_closing_while_another_thread_is_blocked_is_an_os_error_for_it():
    one, two = Pipe()
    join = blocked_reader(one)
    one.close()
    outcome = join()
    assert isinstance(outcome, OSError) and "closed" in str(outcome)
    with pytest.raises(EOFError):
        two.recv()


# --- signals ---


def test_a_signal_whose_handler_returns_is_retried_and_one_that_raises_ends_the_call():
    reader, writer = Pipe(False)
    seen = []

    class Raised(Exception):
        pass

    def handler(*_):
        seen.append(1)
        if len(seen) == 2:
            raise Raised

    old = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        with pytest.raises(Raised):
            reader.recv()
        seen.clear()
        with pytest.raises(Raised):
            while True:
                writer.send_bytes(bytes(5000))
        seen.clear()
        while reader.poll():
            reader.recv_bytes()
        with pytest.raises(Raised):
            reader.poll(None)
        seen.clear()
        with pytest.raises(Raised):
            wait([reader])
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    writer.send("works")
    assert reader.recv() == "works"


@pytest.mark.parametrize("call", ["recv", "recv_bytes", "poll", "send", "wait"])
def test_ctrl_c_ends_every_blocked_call(call):
    reader, writer = Pipe(False)

    def work():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        ready.send(os.getpid())
        try:
            if call == "send":
                while True:
                    writer.send(bytes(3000))
            elif call == "wait":
                wait([reader])
            elif call == "poll":
                reader.poll(None)
            else:
                getattr(reader, call)()
        except KeyboardInterrupt:
            return 42

    readied, ready = Pipe(False)
    child = forked(work)
    assert readied.recv() == child
    eventually(lambda: is_asleep(child))
    os.kill(child, signal.SIGINT)
    started = time.monotonic()
    assert exit_code(child) == 42
    assert time.monotonic() - started < 5
