"""Queues between processes that are killed, forked in the middle of things, and interrupted."""

import asyncio
import contextlib
import gc
import os
import pickle
import queue
import select
import selectors
import shutil
import signal
import subprocess
import sys
import threading
import time
import weakref
from pathlib import Path

import pytest
from slipring import _native, context
from slipring.queues import Empty, Full, JoinableQueue, Queue

numpy = pytest.importorskip("numpy")

METHODS = ["fork", "spawn", "forkserver"]


@contextlib.contextmanager
def forked(work):
    """A child that runs `work` and ends; its exit status is checked."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    try:
        yield pid
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        time.sleep(0.001)


def kill(pid):
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)


def test_what_one_process_puts_another_gets_in_order():
    q = Queue()
    with forked(lambda: [q.put(i) for i in range(5000)]):
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
    with forked(lambda: q.close()):
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

        with forked(work):
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
    with forked(lambda: q.put_many(range(5000))):
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
    until(lambda: q.qsize() == 91)
    kill(pid)
    assert q.get_many(200) == [*range(10, 100), "ready"]


def committed():
    return _native.segment_memory()[1]


@pytest.mark.parametrize("kind", [Queue, JoinableQueue])
@pytest.mark.parametrize("count", [10, 5000, 300_000])
def test_arrays_arrive_whole_and_can_be_written_as_their_originals(kind, count):
    q = kind()
    source = numpy.arange(count, dtype="f8")
    q.put(source)
    source[:] = 0
    got = q.get()
    assert (got == numpy.arange(count)).all() and got.flags.writeable and got.flags.aligned
    got[:] = 7
    source.flags.writeable = False
    q.put({"a": source, "b": source[: count // 2]})
    both = q.get()
    assert not both["a"].flags.writeable and len(both["b"]) == count // 2
    assert (got == 7).all() and (both["a"] == 0).all()


def test_a_long_array_lies_on_its_block_and_keeps_it():
    q = Queue()
    q.put([numpy.full(200_000, 1.0), numpy.full(100_000, 2.0)])
    first, second = q.get()
    assert type(first.base.base.obj).__name__ == "Block"
    del first
    # What would overwrite the block, were it free.
    for _ in range(20):
        q.put([numpy.full(200_000, 3.0), numpy.full(100_000, 4.0)])
        q.get()
    part = second[10:20]
    del second
    gc.collect()
    assert (part == 2.0).all()


def test_blocks_are_given_back_with_the_last_that_lies_on_them():
    q = Queue()
    array = numpy.zeros(1 << 20)
    q.put(array)
    q.get()
    before = committed()
    for _ in range(50):
        q.put(array)
        q.get()
    assert committed() <= before + (16 << 20)


def test_a_received_array_is_private_to_its_receiver():
    q, back = Queue(), Queue()
    array = numpy.zeros(100_000)
    q.put(array)
    q.put(array)

    def work():
        mine = q.get()
        mine[:] = 5
        back.put(float(mine.sum()))

    with forked(work):
        assert back.get() == 500_000.0
    assert q.get().sum() == 0 and array.sum() == 0


@pytest.mark.parametrize("count", [1000, 20_000, 1_000_000])
def test_a_forked_child_has_its_parents_arrays_as_they_were_at_the_fork(count):
    q, go, told = Queue(), Queue(), Queue()
    q.put([numpy.full(count, 1.0), numpy.full(count, 2.0)])
    arrays = q.get()
    first = arrays[0]
    first[:] = 3
    address = first.ctypes.data

    def work():
        go.get()
        assert (first == 3).all() and (arrays[1] == 2).all() and first.ctypes.data == address
        first[:] = 4
        told.put(None)

    with forked(work):
        # The parent goes on with its own, and gets other things into the same blocks.
        arrays.pop()[:] = 5
        for _ in range(5):
            q.put([numpy.full(count, 7.0), numpy.full(count, 8.0)])
            q.get()
        go.put(None)
        told.get()
        assert (first == 3).all()


def test_other_threads_may_write_to_an_array_while_one_forks():
    q = Queue()
    counts = []
    for _ in range(5):
        q.put(numpy.zeros(2_000_000))
        array, stop = q.get(), threading.Event()

        def write(array=array, stop=stop):
            rounds = 0
            while not stop.is_set():
                numpy.add(array, 1, out=array)
                rounds += 1
            counts.append(rounds)

        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(0.02)
        with forked(lambda: None):
            pass
        stop.set()
        thread.join()
        assert (array == counts[-1]).all()


def test_a_loaned_array_is_sent_without_a_copy():
    q = Queue()
    array = q.loan_array((1000, 100), "i4")
    assert array.flags.writeable and array.flags.c_contiguous and array.dtype == "i4"
    array[...] = 9
    q.put(array)
    assert not array.flags.writeable
    got = q.get()
    assert (got == 9).all() and got.shape == (1000, 100)
    got[...] = 1
    assert (array == 1).all(), "it is the same memory"
    # The second time it is an array like any other.
    q.put(array)
    assert (q.get() == 1).all()


@pytest.mark.parametrize("shape", [3, (), (0,), (2, 3)])
def test_small_loans_are_sent_too(shape):
    q = Queue()
    array = q.loan_array(shape)
    array[...] = 2
    q.put(array)
    got = q.get()
    assert got.shape == array.shape and (got == 2).all()


def test_only_the_whole_loan_is_handed_over():
    q = Queue()
    array = q.loan_array(100_000)
    array[:] = 1
    q.put(array[:50_000])
    q.put([array])
    assert array.flags.writeable
    array[:] = 2
    assert (q.get() == 1).all() and (q.get()[0] == 1).all()


def test_a_loan_that_finds_no_room_stays_the_senders():
    q = Queue(maxsize=1)
    q.put(0)
    array = q.loan_array(100_000)
    array[:] = 3
    for _ in range(3):
        with pytest.raises(Full):
            q.put(array, timeout=0.15)
    assert array.flags.writeable
    assert q.get() == 0
    q.put(array)
    assert (q.get() == 3).all()


def test_loans_that_are_never_sent_are_given_back():
    q = Queue()
    array = q.loan_array(1 << 20)
    del array
    before = committed()
    for _ in range(50):
        q.loan_array(1 << 20)
    assert committed() <= before + (16 << 20)


def test_a_forked_child_copies_its_parents_loan():
    q = Queue()
    array = q.loan_array(100_000)
    array[:] = 4
    with forked(lambda: q.put(array)):
        assert (q.get() == 4).all()
    assert array.flags.writeable
    q.put(array)
    assert (q.get() == 4).all()


def test_objects_cannot_be_loaned():
    with pytest.raises(TypeError):
        Queue().loan_array(10, object)


def test_aget_and_aput_take_turns_with_other_coroutines():
    async def main():
        q, got = Queue(maxsize=2), []

        async def consume():
            while (item := await q.aget()) is not None:
                got.append(item)

        consumers = [asyncio.create_task(consume()) for _ in range(3)]
        for i in range(300):
            await q.aput(i)
        for _ in consumers:
            await q.aput(None)
        await asyncio.wait_for(asyncio.gather(*consumers), 20)
        assert sorted(got) == list(range(300))

    asyncio.run(main())


def test_aget_sees_what_another_process_puts():
    q, go = Queue(), Queue()

    def work():
        go.get()
        for i in range(50):
            q.put(i)

    async def main():
        waiting = asyncio.create_task(q.aget())
        await asyncio.sleep(0.05)
        go.put(None)
        got = [await asyncio.wait_for(waiting, 20)]
        got += [await asyncio.wait_for(q.aget(), 20) for _ in range(49)]
        assert got == list(range(50))

    with forked(work):
        asyncio.run(main())


def test_a_cancelled_aget_takes_nothing():
    async def main():
        q, got, begun = Queue(), [], 300
        for i in range(begun):
            tasks = [asyncio.create_task(q.aget()) for _ in range(2)]
            for _ in range(i % 4):
                await asyncio.sleep(0)
            q.put(i)
            for _ in range(i % 3):
                await asyncio.sleep(0)
            tasks[0].cancel()
            got.append(await asyncio.wait_for(tasks[1], 20) if i % 2 else None)
            done = await asyncio.gather(*tasks, return_exceptions=True) if i % 2 else None
            if done and not isinstance(done[0], asyncio.CancelledError):
                pytest.fail("one item and two takers")
            if not i % 2:
                tasks[1].cancel()
                for result in await asyncio.gather(*tasks, return_exceptions=True):
                    if not isinstance(result, asyncio.CancelledError):
                        got[-1] = result
                if got[-1] is None:
                    got[-1] = q.get_nowait()
            assert got[-1] == i and q.empty()

    asyncio.run(main())


def test_a_cancelled_aput_puts_nothing():
    async def main():
        q = Queue(maxsize=1)
        q.put(0)
        task = asyncio.create_task(q.aput(1))
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await q.aget() == 0 and q.empty()

    asyncio.run(main())


def test_closing_ends_those_who_await():
    async def main():
        q, full = Queue(), Queue(1)
        full.put(0)
        tasks = [asyncio.create_task(q.aget()), asyncio.create_task(full.aput(1))]
        await asyncio.sleep(0.02)
        q.close()
        full.close()
        for result in await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20):
            assert isinstance(result, ValueError)

    asyncio.run(main())


def test_aput_puts_an_object_as_it_was():
    async def main():
        q, one, two = Queue(1), [1], b"two"
        q.put(0)
        tasks = [asyncio.create_task(q.aput(one)), asyncio.create_task(q.aput(two))]
        await asyncio.sleep(0.02)
        one.append(2)
        assert [await q.aget() for _ in range(3)] in ([0, [1], b"two"], [0, b"two", [1]])
        await asyncio.gather(*tasks)

    asyncio.run(main())


def test_an_awaited_queue_ends_with_its_last_reference():
    async def main():
        q = Queue()
        with contextlib.suppress(TimeoutError, asyncio.TimeoutError):
            await asyncio.wait_for(q.aget(), 0.01)
        return weakref.ref(q)

    gc.disable()
    try:
        assert asyncio.run(main())() is None
    finally:
        gc.enable()


def test_the_descriptor_is_readable_while_there_is_something():
    q = Queue()
    with selectors.DefaultSelector() as selector:
        selector.register(q, selectors.EVENT_READ)
        # In vain now and then, since it looks who is dead; but a look settles it.
        assert not q._has_item() or pytest.fail("empty")
        with forked(lambda: q.put(b"x")):
            assert selector.select(20)
            until(lambda: q.qsize() == 1)
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


def test_a_dead_workers_task_goes_to_another_and_join_ends():
    q = JoinableQueue()
    q.put("task")
    got = Queue()
    pid = os.fork()
    if pid == 0:
        got.put(q.get())
        signal.pause()
    assert got.get() == "task"
    assert q.empty()
    kill(pid)
    assert q.get(timeout=20) == "task"
    q.task_done()
    q.join()
    with pytest.raises(ValueError, match=r"task_done\(\) called too many times"):
        q.task_done()


def test_what_a_dead_worker_had_is_seen_by_get_nowait_again():
    q = JoinableQueue()
    q.put_many(range(5))
    with forked(lambda: q.get_many(3)):
        pass

    def all_back():
        with contextlib.suppress(Empty):
            got.append(q.get_nowait())
        return len(got) == 5

    got = []
    until(all_back)
    assert sorted(got) == list(range(5))
    for _ in got:
        q.task_done()
    q.join()


def test_a_task_that_kills_its_workers_is_set_aside():
    q = JoinableQueue(max_deliveries=2)
    q.put({"poison": True})
    for _ in range(2):
        with forked(lambda: q.get(timeout=20)):
            pass
    # Nobody could do it: it counts as done.
    q.join()
    assert q.dead_letters() == [({"poison": True}, 2)]
    assert q.dead_letters() == [] and q.empty()


def test_more_leases_than_there_may_be_are_an_error_that_costs_nothing():
    q = JoinableQueue(max_leases=3)
    q.put_many(range(10))
    got = q.get_many(10)
    with pytest.raises(OSError, match="all 3 leases"):
        q.get(timeout=5)
    while len(got) < 10:
        q.task_done()
        got += [q.get()]
    assert got == list(range(10))


def test_a_childs_tasks_are_not_its_parents():
    q = JoinableQueue()
    q.put_many([1, 2])
    assert q.get() == 1

    def work():
        assert q.get() == 2
        q.task_done()
        with pytest.raises(ValueError):
            q.task_done()

    with forked(work):
        pass
    assert q._unfinished == 1
    q.task_done()
    q.join()


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
