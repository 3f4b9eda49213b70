"""JoinableQueue: the tasks of workers that are killed."""

import contextlib
import os
import signal

import pytest
from forks import forking, kill
from helpers import eventually
from slipring.queues import Empty, JoinableQueue, Queue


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
    with forking(lambda: q.get_many(3)):
        pass

    def all_back():
        with contextlib.suppress(Empty):
            got.append(q.get_nowait())
        return len(got) == 5

    got = []
    eventually(all_back)
    assert sorted(got) == list(range(5))
    for _ in got:
        q.task_done()
    q.join()


def test_a_task_that_kills_its_workers_is_set_aside():
    q = JoinableQueue(max_deliveries=2)
    q.put({"poison": True})
    for _ in range(2):
        with forking(lambda: q.get(timeout=20)):
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
        # Its own, and not the one that its parent has had for longer.
        q.task_done()
        assert q._unfinished == 1

    with forking(work):
        pass
    assert q._unfinished == 1
    q.task_done()
    q.join()
    with pytest.raises(ValueError):
        q.task_done()
