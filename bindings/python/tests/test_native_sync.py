"""What is particular about slipring's locks: kills, forks, threads, signals, names."""

import gc
import multiprocessing
import os
import pickle
import signal
import threading
import time
import uuid

import pytest
from forks import fork, in_child, killed_after
from slipring import context as slipring_context
from slipring import synchronize
from slipring.synchronize import Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore


@pytest.fixture
def name():
    return f"test-{uuid.uuid4().hex}"


@pytest.mark.parametrize("cls", [Lock, RLock, BoundedSemaphore])
def test_what_a_killed_holder_had_is_had_by_the_next_within_200_ms(cls):
    lock = cls()
    assert killed_after(lock.acquire)
    begin = time.monotonic()
    assert lock.acquire(timeout=10)
    assert time.monotonic() - begin < 0.2
    lock.release()


@pytest.mark.parametrize("cls", [Lock, RLock, BoundedSemaphore])
def test_a_waiter_gets_the_lock_of_a_holder_that_is_killed_while_it_waits(cls):
    lock, held = cls(), Event()

    def hold():
        lock.acquire()
        held.set()
        time.sleep(60)

    process = fork.Process(target=hold)
    process.start()
    assert held.wait(20)
    killed = []

    def kill():
        killed.append(time.monotonic())
        os.kill(process.pid, signal.SIGKILL)

    threading.Timer(0.15, kill).start()
    assert lock.acquire(timeout=20)
    assert time.monotonic() - killed[0] < 0.2
    process.join()


def test_a_living_holder_is_never_robbed():
    lock, held, go = Lock(), Event(), Event()

    def hold():
        lock.acquire()
        held.set()
        go.wait(20)
        lock.release()

    process = fork.Process(target=hold)
    process.start()
    assert held.wait(20)
    assert not lock.acquire(timeout=0.3)
    go.set()
    assert lock.acquire(timeout=20)
    process.join()


def test_any_process_may_release_a_lock_and_no_other_thread_an_rlock():
    lock, rlock = Lock(), RLock()
    lock.acquire(), rlock.acquire()

    def refused():
        try:
            rlock.release()
        except AssertionError as error:
            return str(error) == "attempt to release recursive lock not owned by thread"

    def child():
        lock.release()
        return lock.acquire(False) and refused() and not rlock.acquire(False)

    assert in_child(child)
    said = []
    thread = threading.Thread(target=lambda: said.append(refused()))
    thread.start(), thread.join()
    assert said == [True]
    rlock.release()


def test_a_lock_is_neither_thread_nor_process_bound_but_an_owner_is():
    lock, rlock = Lock(), RLock()
    with lock, rlock, rlock:
        assert lock._semlock._is_mine() and rlock._semlock._is_mine()
        assert (lock._count(), rlock._count()) == (1, 2)
        assert repr(lock) == "<Lock(owner=MainProcess)>"
        assert repr(rlock) == "<RLock(MainProcess, 2)>"
        seen = []
        look = lambda: seen.append((repr(lock), repr(rlock), lock._is_mine(), rlock._is_mine()))  # noqa: E731
        thread = threading.Thread(target=look)
        thread.start(), thread.join()
        assert seen == [("<Lock(owner=SomeOtherThread)>", "<RLock(SomeOtherThread, nonzero)>", False, False)]

        def child():
            texts = repr(lock), repr(rlock)
            counts = lock._count(), rlock._count(), lock._is_mine(), rlock._is_mine()
            return texts == (
                "<Lock(owner=SomeOtherProcess)>",
                "<RLock(SomeOtherProcess, nonzero)>",
            ) and counts == (0, 0, False, False)

        assert in_child(child)
    assert repr(lock) == "<Lock(owner=None)>"
    assert repr(rlock) == "<RLock(None, 0)>"


@pytest.mark.parametrize("cls", [Lock, BoundedSemaphore])
def test_one_release_too_many_is_a_value_error(cls):
    lock = cls()
    with pytest.raises(ValueError, match="semaphore or lock released too many times"):
        lock.release()
    assert lock.acquire(False) and not lock.acquire(False)


@pytest.mark.parametrize("cls", [Lock, RLock, Semaphore, BoundedSemaphore])
def test_arguments_are_what_multiprocessing_takes(cls):
    lock = cls()
    for args, named in [
        ((), {}),
        ((True,), {}),
        ((1, 0.5), {}),
        ((False, None), {}),
        ((True, -1), {}),
        ((), {"block": True, "timeout": 1}),
        ((True,), {"timeout": None}),
    ]:
        assert lock.acquire(*args, **named) is True
        assert lock.release() is None
    with lock as taken:
        assert taken is True
    for args, named in [((True, 1, 2), {}), ((), {"wait": 1}), ((True,), {"block": True})]:
        with pytest.raises(TypeError):
            lock.acquire(*args, **named)
    for wrong in ["x", [], 1j]:
        with pytest.raises(TypeError):
            lock.acquire(True, wrong)
    lock.acquire()
    with pytest.raises(TypeError):
        lock.acquire(True, "x")
    with pytest.raises(TypeError):
        lock.release(1)
    assert lock.__exit__(None, None, None) is None
    assert cls.acquire.__text_signature__ == "($self, block=True, timeout=None)"
    assert cls.acquire.__doc__ and cls.release.__doc__


@pytest.mark.parametrize("cls", [Lock, RLock])
def test_a_subclass_and_its_attributes_work(cls):
    class Mine(cls):
        """With something of its own."""

    lock = Mine()
    lock.note = "mine"
    condition = Condition(lock)
    with condition:
        assert lock._is_mine() and condition.wait(0.001) is False and lock._is_mine()
    assert repr(lock).startswith("<Mine(")


def test_a_blocked_thread_keeps_neither_the_interpreter_nor_a_fork_from_going_on():
    lock, semaphore, event = Lock(), Semaphore(0), Event()
    lock.acquire()
    threads = [
        threading.Thread(target=lock.acquire, daemon=True),
        threading.Thread(target=semaphore.acquire, daemon=True),
        threading.Thread(target=event.wait, daemon=True),
    ]
    for thread in threads:
        thread.start()
    for _ in range(20):

        def child():
            return not lock.acquire(False) and not semaphore.acquire(False) and not event.wait(0)

        assert in_child(child)
    lock.release(), semaphore.release(), event.set()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.parametrize("call", ["lock", "rlock", "semaphore", "bounded", "event", "condition", "barrier"])
def test_ctrl_c_ends_every_blocked_call(call):
    def child():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        rlock = RLock()
        taker = threading.Thread(target=rlock.acquire)
        taker.start(), taker.join()
        lock, condition = Lock(), Condition()
        lock.acquire(), condition.acquire()
        block = {
            "lock": lock.acquire,
            "rlock": rlock.acquire,
            "semaphore": Semaphore(0).acquire,
            "bounded": BoundedSemaphore(0).acquire,
            "event": Event().wait,
            "condition": condition.wait,
            "barrier": Barrier(2).wait,
        }[call]
        threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT)).start()
        begin = time.monotonic()
        try:
            block()
        except KeyboardInterrupt:
            return time.monotonic() - begin < 5 and condition._lock._is_mine()

    assert in_child(child)


def test_a_signal_handler_that_returns_lets_the_wait_go_on():
    def child():
        came = []
        signal.signal(signal.SIGALRM, lambda *_: came.append(time.monotonic()))
        signal.setitimer(signal.ITIMER_REAL, 0.02, 0.02)
        begin = time.monotonic()
        got = Semaphore(0).acquire(timeout=0.3)
        return not got and time.monotonic() - begin >= 0.3 and len(came) > 3

    assert in_child(child)


@pytest.mark.parametrize("wrong", [-1, 2**31, 2**80])
def test_a_semaphore_begins_with_what_it_can_have(wrong):
    for cls in [Semaphore, BoundedSemaphore]:
        with pytest.raises(OSError, match="permits"):
            cls(wrong)
        with pytest.raises(TypeError):
            cls("three")


def test_a_bounded_semaphore_may_have_as_many_as_a_semaphore_can():
    many = BoundedSemaphore(synchronize.SEM_VALUE_MAX)
    with pytest.raises(ValueError):
        many.release()
    assert many.acquire() and many.get_value() == synchronize.SEM_VALUE_MAX - 1
    many.release()


def test_ten_thousand_locks_are_one_descriptor():
    Lock()
    # What other tests have left goes now, and not in the middle.
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    locks = [Lock() for _ in range(10_000)]
    assert len(os.listdir("/proc/self/fd")) == before
    assert all(lock.acquire(False) for lock in locks)


def test_a_name_is_one_object_in_all_programs_and_its_pickle(name):
    lock = Lock(name=name)
    assert lock.name == name and Lock().name is None
    copy = pickle.loads(pickle.dumps(lock))
    with lock:
        assert not copy.acquire(False)
        assert in_child(lambda: not Lock(name=name).acquire(False))
    assert copy.acquire(False)
    with pytest.raises(TypeError):
        Event(name=name)


def test_a_pickled_name_makes_the_same_bounded_semaphore_where_it_has_ended(name):
    seats = BoundedSemaphore(3, name=name)
    pickled = pickle.dumps(seats)
    del seats
    assert repr(pickle.loads(pickled)) == "<BoundedSemaphore(value=3, maxvalue=3)>"


def test_a_lock_without_a_name_is_pickled_only_for_a_process_that_is_started():
    for obj in [Lock(), RLock(), Semaphore(), BoundedSemaphore(), Event()]:
        with pytest.raises(RuntimeError, match="spawning|inheritance"):
            pickle.dumps(obj)


def test_a_named_lock_of_a_killed_program_is_had_by_the_next(name):
    lock = Lock(name=name)
    assert killed_after(lambda: Lock(name=name).acquire())
    assert lock.acquire(timeout=10)


def test_a_killed_process_that_acquired_a_plain_semaphore_took_it_with_it():
    semaphore = Semaphore(1)
    assert killed_after(semaphore.acquire)
    assert not semaphore.acquire(timeout=0.3)


def test_locks_exclude_across_threads_and_processes_while_some_are_killed():
    lock, counter = Lock(), multiprocessing.RawValue("q", 0)
    inside, wrong = multiprocessing.RawValue("q", 0), multiprocessing.RawValue("i", 0)

    def work():
        me = threading.get_native_id()
        while True:
            with lock:
                inside.value = me
                counter.value += 1
                if inside.value != me:
                    wrong.value = 1

    def threads():
        pool = [threading.Thread(target=work, daemon=True) for _ in range(2)]
        for thread in pool:
            thread.start()
        pool[0].join()

    for _ in range(8):
        processes = [fork.Process(target=threads) for _ in range(2)]
        for process in processes:
            process.start()
        time.sleep(0.05)
        for process in processes:
            os.kill(process.pid, signal.SIGKILL)
            process.join()
        assert lock.acquire(timeout=5)
        lock.release()
    assert counter.value > 0 and not wrong.value


class Worker:
    """What a spawned process does with what it is given."""

    @staticmethod
    def run(lock, rlock, semaphore, bounded, many, event, condition, shared, barrier):
        with lock, rlock, bounded:
            semaphore.release()
        assert bounded.get_value() == 2 and many.maxvalue == 2**31 - 1
        assert condition._lock is shared
        event.wait(20)
        with condition:
            condition.notify_all()
        barrier.wait(20)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_all_of_them_get_into_a_process_that_is_started_afresh(method):
    ctx = slipring_context.BaseContext().get_context(method)
    shared = RLock()
    condition, semaphore, event, barrier = Condition(shared), Semaphore(0), Event(), Barrier(2)
    many = BoundedSemaphore(2**31 - 1)
    given = Lock(), RLock(), semaphore, BoundedSemaphore(2), many, event, condition, shared, barrier
    process = ctx.Process(target=Worker.run, args=given)
    process.start()
    assert semaphore.acquire(timeout=60)
    with condition:
        event.set()
        assert condition.wait(60)
    barrier.wait(60)
    process.join()
    assert process.exitcode == 0
