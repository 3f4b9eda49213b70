"""Queues between processes that are killed, forked in the middle of things, and interrupted."""

import contextlib
import os
import pickle
import queue
import select
import selectors
import signal
import threading
import time

import pytest
from forks import forking, kill
from helpers import eventually
from slipring import context
from slipring.queues import Empty, Full, JoinableQueue, Queue

METHODS = ["fork", "spawn", "forkserver"]


def test_what_one_process_puts_another_gets_in_order():
    q = Queue()
    with forking(lambda: [q.put(i) for i in range(5000)]):
        assert [q.get() for _ in range(5000)] == list(range(5000))
    assert q.empty() and q.qsize() == 0


def test_what_was_put_stays_when_its_process_is_killed():
    q, ready = Queue(), Queue()

    def work():
        for i in range(20_000):
            q.put(i)
        ready.put(None)
        signal.pause()

    pid = os.fork()
    if pid == 0:
        work()
    ready.get()
    kill(pid)
    assert q.qsize() == 20_000
    assert q.get_many(20_000) == list(range(20_000))


def test_a_bound_is_exact_and_an_unbounded_queue_is_never_full():
    q = Queue(maxsize=3)
    for i in range(3):
        assert not q.full()
        q.put(i)
    assert q.full() and q.qsize() == 3
    for call in (lambda: q.put_nowait(3), lambda: q.put(3, False), lambda: q.put(3, timeout=0.01)):
        with pytest.raises(Full):
            call()
    assert not Queue().full() and not Queue(2**31 - 1).full()


@pytest.mark.parametrize("timeout", [0, -1, 0.2])
def test_a_deadline_is_kept(timeout):
    begin = time.monotonic()
    with pytest.raises(queue.Empty):
        Queue().get(True, timeout)
    assert time.monotonic() - begin >= timeout
    with pytest.raises(queue.Empty):
        Queue().get(0, 100)


def test_after_close_this_object_is_of_no_use_and_others_are():
    q = Queue()
    with pytest.raises(AssertionError, match="not closed"):
        q.join_thread()
    q.put(1)
    with forking(lambda: q.close()):
        pass
    q.cancel_join_thread()
    assert q.get() == 1
    q.close()
    q.join_thread()
    for call in (lambda: q.put(1), q.get, q.get_nowait, lambda: q.put_many([1]), lambda: q.get_many(1)):
        with pytest.raises(ValueError, match="Queue <slipring.Queue.*> is closed"):
            call()
    with pytest.raises(OSError, match="is closed"):
        q.empty()


def test_an_object_that_cannot_be_pickled_is_puts_error_and_takes_no_room():
    q = Queue(maxsize=1)
    with pytest.raises((pickle.PicklingError, AttributeError)):
        q.put(lambda: 0)
    q.put_nowait(1)


def test_the_hook_is_asked_about_an_object_that_cannot_be_pickled():
    class Lenient(Queue):
        def _on_queue_feeder_error(self, e, obj):
            refused.append((type(e), obj))

    refused, q = [], Lenient()
    thing = threading.Lock()
    q.put(thing)
    assert refused[-1] == (TypeError, thing) and q.empty()


def test_a_subclass_may_have_arguments_of_its_own():
    class Mine(Queue):
        def __init__(self, label):
            super().__init__(maxsize=2)
            self.label = label

    class Forgetful(Queue):
        def __init__(self):
            pass

    q = Mine("x")
    q.put(1)
    assert q.get() == 1 and q.label == "x"
    with pytest.raises(RuntimeError, match="__init__"):
        Forgetful().put(1)


def test_threads_share_a_queue():
    q, results = Queue(maxsize=5), Queue()

    def work():
        while (item := q.get()) is not None:
            results.put(item)

    threads = [threading.Thread(target=work) for _ in range(4)]
    producers = [threading.Thread(target=lambda n=n: [q.put(n * 1000 + i) for i in range(500)]) for n in range(3)]
    for t in threads + producers:
        t.start()
    for t in producers:
        t.join()
    for _ in threads:
        q.put(None)
    for t in threads:
        t.join()
    got = results.get_many(10_000)
    assert sorted(got) == sorted(n * 1000 + i for n in range(3) for i in range(500))


def test_a_blocked_call_does_not_keep_other_threads_from_running():
    q, full = Queue(), Queue(1)
    full.put(0)
    blocked = [threading.Thread(target=q.get), threading.Thread(target=full.put, args=(1,))]
    for t in blocked:
        t.start()
    assert sum(range(100_000)) and q.empty() and full.full()
    q.put(1)
    assert full.get() == 0
    for t in blocked:
        t.join(20)
        assert not t.is_alive()


def test_a_fork_while_threads_are_blocked_leaves_the_child_fine():
    q, full = Queue(), Queue(1)
    full.put(0)
    threads = [threading.Thread(target=q.get) for _ in range(3)]
    threads += [threading.Thread(target=full.put, args=(1,)) for _ in range(2)]
    for t in threads:
        t.start()
    for _ in range(20):

        def work():
            with pytest.raises(Full):
                full.put(2, timeout=0.01)
            mine = Queue(1)
            mine.put("x")
            assert mine.get() == "x"
            q.close()
            full.close()

        with forking(work):
            pass
    for _ in range(3):
        q.put(None)
    assert [full.get(timeout=20) for _ in range(3)] == [0, 1, 1]
    for t in threads:
        t.join(20)


@pytest.mark.parametrize("call", ["get", "put", "get_many", "put_many", "join", "large"])
def test_ctrl_c_ends_a_blocked_call(call):
    q = JoinableQueue(1)
    if call in ("put", "put_many", "join", "large"):
        q.put(0)
    calls = {
        "get": q.get,
        "put": lambda: q.put(1),
        "get_many": lambda: q.get_many(5),
        "put_many": lambda: q.put_many([1, 2, 3]),
        "join": q.join,
        "large": lambda: q.put(b"x" * 1_000_000),
    }
    main = threading.main_thread().ident
    timer = threading.Timer(0.1, lambda: signal.pthread_kill(main, signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        calls[call]()
    timer.join()
    if call in ("put", "put_many", "join", "large"):
        assert q.get() == 0
    q.put("again")
    assert q.get() == "again"


def test_a_signal_whose_handler_returns_does_not_end_a_blocked_call():
    q, seen = Queue(), []
    old = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        timer = threading.Timer(0.3, lambda: q.put(1))
        timer.start()
        assert q.get() == 1 and seen
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    timer.join()


def test_random_kills_of_producers_and_consumers_leave_the_queue_working():
    numpy = pytest.importorskip("numpy")
    q = Queue(maxsize=10)
    for round in range(15):
        pids = []
        for number in range(4):
            pid = os.fork()
            if pid == 0:
                payload = [number, b"x" * (1000 * number), bytearray(90_000), numpy.arange(20_000)]
                while True:
                    if number % 2:
                        q.put(payload)
                    else:
                        q.get()
            pids.append(pid)
        time.sleep(0.02 + 0.002 * round)
        for pid in pids:
            kill(pid)
    with contextlib.suppress(Empty):
        while True:
            assert q.get(timeout=0.2)[0] in (1, 3)
    for i in range(10):
        q.put(i)
    assert q.full() and q.get_many(100) == list(range(10))


def test_put_many_puts_all_or_says_what_became_of_them():
    q = Queue(maxsize=4)
    assert q.put_many([]) == 0
    with pytest.raises(Full) as caught:
        q.put_many(iter(range(10)), timeout=0.05)
    assert caught.value.count == 4
    assert q.get_many(3) == [0, 1, 2]
    rest = caught.value.rest
    with pytest.raises(Full) as caught:
        q.put_many(rest, block=False)
    assert caught.value.count == 3 and list(caught.value.rest) == [7, 8, 9]
    assert q.get_many(10) == [3, 4, 5, 6]


def test_put_many_keeps_the_order_of_short_and_long():
    q = Queue()
    items = [1, b"x" * 200_000, "y", bytearray(300_000), None, {"a": "z" * 100_000}, 2] * 3
    assert q.put_many(items) == len(items)
    assert q.get_many(100) == items


def test_put_many_waits_for_room_and_is_done_in_the_end():
    q = Queue(maxsize=7)
    with forking(lambda: q.put_many(range(5000))):
        got = []
        while len(got) < 5000:
            more = q.get_many(50)
            assert 1 <= len(more) <= 50
            got += more
    assert got == list(range(5000))


def test_put_many_with_an_object_that_cannot_be_pickled_puts_those_before_it():
    q = Queue()
    with pytest.raises((pickle.PicklingError, AttributeError)) as caught:
        q.put_many(iter([1, 2, lambda: 0, 3]))
    assert caught.value.count == 2 and list(caught.value.rest) == [3]
    assert q.get_many(10) == [1, 2]


def refuse():
    raise ZeroDivisionError


class CannotBeLoaded:
    def __reduce__(self):
        return refuse, ()


def test_get_many_loses_nothing_to_an_object_that_cannot_be_unpickled():
    q = Queue()
    q.put_many([1, CannotBeLoaded(), 2])
    with pytest.raises(ZeroDivisionError) as caught:
        q.get_many(10)
    assert caught.value.received == [1, 2]
    with pytest.raises(ValueError):
        q.get_many(0)


def test_no_more_than_max_are_in_one_pair_of_hands():
    q = Queue()
    q.put_many(range(100))
    pid = os.fork()
    if pid == 0:
        q.get_many(10)
        q.put("ready")
        signal.pause()
    eventually(lambda: q.qsize() == 91)
    kill(pid)
    assert q.get_many(200) == [*range(10, 100), "ready"]


def test_the_descriptor_is_readable_while_there_is_something():
    q = Queue()
    with selectors.DefaultSelector() as selector:
        selector.register(q, selectors.EVENT_READ)
        # In vain now and then, since it looks who is dead; but a look settles it.
        assert not q._has_item() or pytest.fail("empty")
        with forking(lambda: q.put(b"x")):
            assert selector.select(20)
            eventually(lambda: q.qsize() == 1)
        assert select.select([q], [], [], 0)[0]
        assert q.get() == b"x"
        with pytest.raises(Empty):
            q.get_nowait()


@pytest.mark.parametrize("method", METHODS)
def test_queues_go_to_processes_of_every_start_method(method):
    ctx = context._concrete_contexts[method]
    q, tasks = ctx.Queue(3), ctx.JoinableQueue()
    worker = ctx.Process(target=serve, args=(tasks, q))
    worker.start()
    for i in range(10):
        tasks.put(i)
    tasks.put(None)
    assert [q.get(timeout=60) for _ in range(10)] == [i * i for i in range(10)]
    tasks.join()
    worker.join()
    assert worker.exitcode == 0


def serve(tasks, results):
    while (item := tasks.get()) is not None:
        results.put(item * item)
        tasks.task_done()
    tasks.task_done()


class Labelled(Queue):
    def __init__(self, label):
        super().__init__()
        self.label = label

    def __getstate__(self):
        return super().__getstate__(), self.label

    def __setstate__(self, state):
        super().__setstate__(state[0])
        self.label = state[1]


def tell_label(q):
    q.put(q.label)


def test_a_subclass_with_state_of_its_own_goes_to_a_spawned_process():
    q = Labelled("blue")
    worker = context._concrete_contexts["spawn"].Process(target=tell_label, args=(q,))
    worker.start()
    assert q.get(timeout=60) == "blue"
    worker.join()


def test_a_queue_is_pickled_only_for_a_process_that_is_being_started():
    for q in (Queue(), JoinableQueue()):
        with pytest.raises(RuntimeError, match="inheritance"):
            pickle.dumps(q)
        with pytest.raises(RuntimeError, match="inheritance"):
            Queue().put(q)
