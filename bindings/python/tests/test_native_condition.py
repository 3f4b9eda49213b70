"""What is particular about slipring's conditions and barriers: kills, locks of other kinds, names."""

import multiprocessing
import os
import pickle
import signal
import threading
import time
import uuid

import pytest
from forks import fork, in_child
from slipring import _native
from slipring.synchronize import Barrier, Condition, Lock, RLock, Semaphore


@pytest.fixture
def name():
    return f"test-{uuid.uuid4().hex}"


def waits(condition, said, timeout=20):
    with condition:
        said.release()
        woken = condition.wait(timeout)
    return woken


def start(target, *args):
    process = fork.Process(target=target, args=args)
    process.start()
    return process


def wait_for_waiters(condition, count):
    end = time.monotonic() + 20
    while condition._sleeping_count.get_value() != count:
        assert time.monotonic() < end
        time.sleep(0.001)


@pytest.mark.parametrize("cls", [Lock, RLock])
def test_notify_wakes_as_many_as_it_says_and_no_death_wakes_anybody(cls):
    condition, said, woken = Condition(cls()), Semaphore(0), Semaphore(0)

    def wait():
        if waits(condition, said):
            woken.release()

    processes = [start(wait) for _ in range(4)]
    for _ in processes:
        said.acquire()
    wait_for_waiters(condition, 4)
    for _ in range(5):
        # Ends, and had everything.
        start(lambda: None).join()
        time.sleep(0.06)
        _native.reap()
    wait_for_waiters(condition, 4)
    assert woken.get_value() == 0
    for count, total in [(1, 1), (2, 3), (1, 4)]:
        with condition:
            condition.notify(count)
        for _ in range(count):
            assert woken.acquire(timeout=20)
        assert not woken.acquire(timeout=0.1)
        assert condition._sleeping_count.get_value() == 4 - total
    for process in processes:
        process.join()


def test_killed_waiters_hang_nobody_and_take_no_notification_away():
    condition, said, woken = Condition(), Semaphore(0), Semaphore(0)

    def wait():
        if waits(condition, said):
            woken.release()

    killed, living = [start(wait) for _ in range(3)], [start(wait) for _ in range(2)]
    for _ in killed + living:
        assert said.acquire(timeout=20)
    wait_for_waiters(condition, 5)
    for process in killed:
        os.kill(process.pid, signal.SIGKILL)
        process.join()
    end = time.monotonic() + 20
    while woken.get_value() < 2:
        with condition:
            condition.notify()
        time.sleep(0.01)
        assert time.monotonic() < end
    for process in living:
        process.join()
    with condition:
        condition.notify_all()
    assert condition._sleeping_count.get_value() == 0


def test_wait_gives_a_recursive_lock_back_fully_and_takes_it_as_often():
    condition, said = Condition(), Semaphore(0)
    seen = []

    def wait():
        with condition, condition, condition:
            said.release()
            seen.append(condition.wait(20))
            seen.append(condition._lock._count())

    thread = threading.Thread(target=wait)
    thread.start()
    said.acquire()
    with condition:
        condition.notify()
    thread.join()
    assert seen == [True, 3]
    assert condition.acquire(False)


def test_a_condition_asks_for_its_lock():
    condition = Condition(Lock())
    for call in [condition.wait, condition.notify, condition.notify_all, lambda: condition.wait_for(lambda: False)]:
        with pytest.raises(AssertionError):
            call()
    assert condition.wait_for(lambda: 7) == 7
    with condition:
        assert condition.wait(0) is False and condition.wait(-1) is False
        assert condition.wait_for(lambda: 0, timeout=0.01) == 0
        condition.notify(0), condition.notify(10**30 % 2**63)
    assert repr(condition) == "<Condition(<Lock(owner=None)>, 0)>"


def test_a_condition_takes_the_standard_librarys_lock_and_that_takes_ours():
    for lock in [fork.Lock(), fork.RLock(), Lock(), RLock()]:
        condition = Condition(lock)
        with condition:
            assert condition.wait(0.001) is False and lock._semlock._is_mine()
    for lock in [Lock(), RLock()]:
        condition = fork.Condition(lock)
        with condition:
            assert condition.wait(0.001) is False and lock._semlock._is_mine()
            condition.notify()


def test_wait_for_looks_again_when_somebody_dies_that_did_not_live_to_notify():
    condition, done = Condition(), multiprocessing.RawValue("i", 0)

    def change():
        with condition:
            done.value = 1
        time.sleep(60)

    process = start(change)
    threading.Timer(0.2, os.kill, (process.pid, signal.SIGKILL)).start()
    with condition:
        assert condition.wait_for(lambda: done.value, timeout=20)
    process.join()


def test_a_wait_is_a_notification_missed_by_nobody():
    condition, turn = Condition(), multiprocessing.RawValue("i", 0)

    def other():
        for _ in range(2000):
            with condition:
                while turn.value != 1:
                    condition.wait()
                turn.value = 0
                condition.notify()

    process = start(other)
    for _ in range(2000):
        with condition:
            turn.value = 1
            condition.notify()
            while turn.value:
                assert condition.wait(20)
    process.join()


def test_a_barrier_outlives_parties_that_end_and_not_those_that_are_killed():
    barrier = Barrier(2)
    for _ in range(3):
        process = start(barrier.wait)
        assert barrier.wait(20) in (0, 1)
        process.join()
        _native.reap()
    assert not barrier.broken

    def killed():
        barrier.wait()
        os.kill(os.getpid(), signal.SIGKILL)

    process = start(killed)
    barrier.wait(20)
    process.join()
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(20)
    barrier.reset()
    assert not barrier.broken


def test_a_barrier_gives_each_a_number_and_one_runs_the_action():
    ran = Semaphore(0)
    barrier, numbers = Barrier(4, action=ran.release), multiprocessing.SimpleQueue()
    processes = [start(lambda: numbers.put(barrier.wait(20))) for _ in range(4)]
    assert sorted(numbers.get() for _ in processes) == [0, 1, 2, 3]
    for process in processes:
        process.join()
    assert ran.get_value() == 1
    assert (barrier.parties, barrier.n_waiting) == (4, 0)


def test_a_barrier_breaks_by_timeout_abort_and_action():
    with pytest.raises(threading.BrokenBarrierError):
        Barrier(2, timeout=0.01).wait()
    with pytest.raises(threading.BrokenBarrierError):
        Barrier(2).wait(0)

    def fail():
        raise KeyError("by intent")

    barrier = Barrier(1, action=fail)
    with pytest.raises(KeyError):
        barrier.wait()
    assert barrier.broken and "broken" in repr(barrier)
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()
    for wrong in [0, -1, 70_000]:
        with pytest.raises(ValueError):
            Barrier(wrong)
    with pytest.raises(TypeError):
        Barrier("two")


def test_conditions_and_barriers_have_names(name):
    condition = Condition(name=name)
    copy = pickle.loads(pickle.dumps(condition))
    with condition:
        # It is this thread's, by either handle.
        assert copy.acquire(False)
        copy.release()
        assert in_child(lambda: not Condition(name=name).acquire(False))
    barrier = Barrier(1, name=name + ".barrier")
    assert pickle.loads(pickle.dumps(barrier)).parties == 1
