"""A fork while another thread of the parent is blocked in a call."""

import children
import pytest
from helpers import SOON, Worker, differs


def in_child(mp, function, *args):
    """What the function gives in a forked child."""
    results = mp.SimpleQueue()
    process = mp.start(children.report, results, function, *args)
    assert results._reader.poll(SOON), "the child hangs"
    outcome = results.get()
    process.join(SOON)
    assert process.exitcode == 0
    return outcome


@pytest.mark.parametrize("kind", ("Queue", "JoinableQueue", "SimpleQueue"))
def test_a_child_puts_what_a_thread_of_the_parent_waits_for(mp, kind):
    q = getattr(mp, kind)()
    getting = Worker(q.get).blocked()
    assert in_child(mp, q.put, "from the child") is None
    assert getting.result() == "from the child"


@pytest.mark.parametrize("kind", ("Queue", "JoinableQueue", "SimpleQueue"))
def test_a_child_gets_while_a_thread_of_the_parent_is_in_get(mp, kind):
    if not differs(mp, "get holds no lock that a fork could copy"):
        return
    q = getattr(mp, kind)()
    getting = Worker(q.get).blocked()
    q.put(1)
    q.put(2)
    assert sorted([getting.result(), in_child(mp, q.get)]) == [1, 2]


def test_a_child_puts_while_a_thread_of_the_parent_is_in_put(mp):
    q = mp.Queue(1)
    q.put(1)
    putting = Worker(q.put, 2).blocked()
    assert in_child(mp, q.get) == 1
    putting.result()
    assert q.get(timeout=SOON) == 2


def test_a_child_sends_what_a_thread_of_the_parent_waits_for(mp):
    reader, writer = mp.Pipe(False)
    receiving = Worker(reader.recv).blocked()
    assert in_child(mp, writer.send, "from the child") is None
    assert receiving.result() == "from the child"


def test_a_child_closes_what_a_thread_of_the_parent_is_blocked_in(mp):
    reader, writer = mp.Pipe(False)
    receiving = Worker(reader.recv).blocked()
    assert in_child(mp, reader.close) is None
    assert in_child(mp, writer.close) is None
    writer.send("still open")
    assert receiving.result() == "still open"


@pytest.mark.parametrize("kind", ("Lock", "Semaphore", "BoundedSemaphore"))
def test_a_child_releases_what_a_thread_of_the_parent_waits_for(mp, kind):
    lock = getattr(mp, kind)()
    lock.acquire()
    waiting = Worker(lock.acquire).blocked()
    assert in_child(mp, lock.acquire, False) is False
    assert in_child(mp, lock.release) is None
    assert waiting.result() is True


def test_an_rlock_that_a_thread_of_the_parent_holds_is_not_the_childs(mp):
    lock = mp.RLock()
    lock.acquire()
    waiting = Worker(lock.acquire).blocked()
    assert in_child(mp, lock.acquire, False) is False
    assert in_child(mp, lock.release) == "AssertionError"
    lock.release()
    assert waiting.result() is True


def test_a_child_sets_the_event_that_a_thread_of_the_parent_waits_for(mp):
    event = mp.Event()
    waiting = Worker(event.wait).blocked()
    assert in_child(mp, event.set) is None
    assert waiting.result() is True


def test_a_child_notifies_a_thread_of_the_parent(mp):
    cond = mp.Condition()

    def wait():
        with cond:
            return cond.wait(SOON)

    waiting = Worker(wait).blocked()
    assert in_child(mp, children.notify_all, cond) is None
    assert waiting.result() is True


def test_a_child_does_the_task_that_a_thread_of_the_parent_joins(mp):
    q = mp.JoinableQueue()
    q.put("task")
    joining = Worker(q.join).blocked()
    assert in_child(mp, children.do_one, q) == "task"
    joining.result()


def test_threads_fork_while_others_use_the_same_objects(mp):
    """Nothing that one thread holds while another forks is held for ever in the child."""
    q, lock, value = mp.SimpleQueue(), mp.Lock(), mp.Value("i", 0)
    stop = mp.Event()

    def busy():
        while not stop.is_set():
            with lock:
                value.value += 1

    workers = [Worker(busy) for _ in range(2)]
    try:
        for number in range(15):
            process = mp.start(children.count_and_put, q, lock, value, number)
            assert q.get() == number
            process.join(SOON)
            assert process.exitcode == 0
    finally:
        stop.set()
    for worker in workers:
        worker.result()
