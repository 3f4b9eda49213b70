"""Queue, JoinableQueue, SimpleQueue."""

import pickle
import queue
import time
from multiprocessing.reduction import ForkingPickler

import children
import pytest
from helpers import SOON, Worker, differs, eventually, takes, until_asleep
from test_connection import OBJECTS, same

METHODS = pytest.mark.methods("fork", "spawn")
QUEUES = ("Queue", "JoinableQueue")
ALL = (*QUEUES, "SimpleQueue")
MIB = 1 << 20


@pytest.fixture(params=QUEUES)
def kind(request):
    return request.param


def unpicklable(mp):
    return (lambda: 0, [mp.Lock()], (n for n in "ab"))


# What goes in comes out


@pytest.mark.parametrize("kind", ALL)
def test_what_is_put_is_got(mp, kind):
    q = getattr(mp, kind)()
    for put in OBJECTS:
        q.put(put)
        got = q.get()
        assert same(put, got), (put, got)
    q.put(OBJECTS[::-1])
    assert all(map(same, OBJECTS[::-1], q.get()))


@METHODS
@pytest.mark.parametrize("kind", ALL)
def test_what_another_process_puts_is_got(mp, kind):
    q = getattr(mp, kind)()
    peer = mp.peer(q=q)
    for item in OBJECTS:
        peer.q.put(item)
        assert same(q.get(), item)
        q.put(item)
        assert same(peer.q.get(), item)


@pytest.mark.parametrize("kind", ALL)
def test_items_come_in_the_order_they_were_put(mp, kind):
    q = getattr(mp, kind)()
    for number in range(200):
        q.put(number)
    assert [q.get() for _ in range(200)] == list(range(200))


@METHODS
@pytest.mark.parametrize("kind", ALL)
def test_who_waits_for_an_item_gets_it(mp, kind):
    q = getattr(mp, kind)()
    peer = mp.peer(q=q)
    for item in ("one", "two"):
        waiting = peer.blocked("q.get")
        q.put(item)
        assert waiting.result() == item


@METHODS
def test_sixteen_mebibytes_go_through_a_queue(mp):
    q = mp.Queue()
    peer = mp.peer(q=q)
    item = {"data": bytes(range(256)) * (16 * MIB // 256)}
    q.put(item)
    assert peer.q.get() == item
    peer.q.put(item)
    assert q.get() == item


@pytest.mark.methods("fork", "spawn", "forkserver")
def test_many_producers_and_consumers_lose_nothing_and_double_nothing(mp):
    q, results = mp.Queue(50), mp.Queue()
    producers = [mp.start(children.produce, q, mark, 500) for mark in range(3)]
    consumers = [mp.start(children.consume, q, results) for _ in range(2)]
    for process in producers:
        process.join(SOON)
        assert process.exitcode == 0
    for _ in consumers:
        q.put(None)
    parts = [results.get(timeout=SOON) for _ in consumers]
    assert sorted(sum(parts, [])) == [(mark, n) for mark in range(3) for n in range(500)]
    for part in parts:
        for mark in range(3):
            numbers = [n for m, n in part if m == mark]
            assert numbers == sorted(numbers), "the order of one producer"
    for process in consumers:
        process.join(SOON)
        assert process.exitcode == 0


@METHODS
def test_a_child_hands_a_queue_to_its_own_child(mp, kind):
    q = getattr(mp, kind)()
    mp.start(children.hand_on, mp.name, mp.method, 2, children.put_hello, q)
    assert q.get(timeout=SOON) == "hello"


# Full and empty


def test_a_queue_holds_exactly_its_maxsize(mp, kind):
    for maxsize in (1, 2, 3, 7):
        q = getattr(mp, kind)(maxsize)
        for number in range(maxsize):
            assert q.full() is False
            q.put_nowait(number)
            assert q.qsize() == number + 1
        assert q.full() is True
        with pytest.raises(queue.Full):
            q.put_nowait("over")
        with pytest.raises(queue.Full):
            q.put("over", block=False)
        with takes(0.05), pytest.raises(queue.Full):
            q.put("over", True, 0.05)
        assert q.get(timeout=SOON) == 0
        q.put_nowait("again")
        assert q.full() is True
        assert q.qsize() == maxsize


@METHODS
def test_the_maxsize_holds_in_every_process(mp, kind):
    q = getattr(mp, kind)(2)
    peer = mp.peer(q=q)
    peer.q.put(1)
    q.put(2)
    assert (peer.q.full(), peer.q.qsize()) == (True, 2)
    with pytest.raises(queue.Full):
        peer.q.put_nowait(3)
    waiting = peer.blocked("q.put", 3)
    assert q.get(timeout=SOON) in (1, 2)
    assert waiting.result() is None
    assert q.full() is True


@pytest.mark.parametrize("maxsize", (0, -1))
def test_a_queue_without_maxsize_has_no_bound(mp, kind, maxsize):
    q = getattr(mp, kind)(maxsize)
    for number in range(3000):
        q.put_nowait(number)
    assert q.full() is False
    assert q.qsize() == 3000
    assert [q.get(timeout=SOON) for _ in range(3000)] == list(range(3000))


def test_an_empty_queue_gives_empty(mp, kind):
    q = getattr(mp, kind)()
    assert (q.empty(), q.qsize()) == (True, 0)
    for args in ((False,), (False, 10), (True, 0), (True, -1), (True, -0.5)):
        with takes(0, 5), pytest.raises(queue.Empty):
            q.get(*args)
    with pytest.raises(queue.Empty):
        q.get_nowait()
    for kwargs in ({"timeout": 0.1}, {"block": True, "timeout": 0.1}):
        with takes(0.1), pytest.raises(queue.Empty):
            q.get(**kwargs)


def test_a_negative_timeout_still_gets_and_puts_what_can_be(mp, kind):
    q = getattr(mp, kind)(1)
    q.put("item", True, -1)
    with takes(0, 5), pytest.raises(queue.Full):
        q.put("over", True, -1)
    eventually(lambda: not q.empty())
    assert q.get(True, -1) == "item"


@METHODS
def test_get_spends_one_deadline_on_all_its_steps(mp):
    q = mp.Queue()
    peer = mp.peer(q=q)
    waiting = peer.blocked("q.get")
    # Somebody else is in get all the time.
    with takes(0.2, 5), pytest.raises(queue.Empty):
        q.get(timeout=0.2)
    q.put("for the peer")
    assert waiting.result() == "for the peer"


def test_put_has_happened_when_it_returns(mp, kind):
    q = getattr(mp, kind)()
    if not differs(mp, "no feeder thread: what put returned from is there for everybody"):
        q.put("later")
        assert q.get(timeout=SOON) == "later"
        return
    for number in range(100):
        q.put(number)
        assert q.empty() is False
        assert q.get_nowait() == number
        assert q.empty() is True


@pytest.mark.only("slipring")
@METHODS
def test_put_has_happened_for_every_process_when_it_returns(mp, kind):
    q = getattr(mp, kind)()
    peer = mp.peer(q=q)
    for number in range(20):
        q.put(number)
        assert peer.q.qsize() == 1
        assert peer.q.empty() is False
        assert peer.q.get_nowait() == number
        peer.q.put([number])
        assert q.get_nowait() == [number]


@METHODS
def test_a_producer_is_joined_before_its_items_are_read(mp):
    # multiprocessing's feeder thread keeps the process until a pipe's worth is left.
    number = 20_000 if differs(mp, "a producer can be joined before its items are read") else 100
    q = mp.Queue()
    process = mp.start(children.produce, q, "x", number)
    process.join(SOON)
    assert process.exitcode == 0
    assert [q.get(timeout=SOON) for _ in range(number)] == [("x", n) for n in range(number)]


@METHODS
def test_an_item_outlives_the_process_that_put_it(mp):
    q = mp.Queue()
    peer = mp.peer(q=q)
    item = [bytes(1000)] * 3
    peer.q.put(item)
    assert peer.end() == 0
    assert q.get(timeout=SOON) == item


# What can't be put


def test_an_item_that_cant_be_pickled_leaves_the_queue_as_it_was(mp, kind, capfd):
    q = getattr(mp, kind)(2)
    for item in unpicklable(mp):
        if differs(mp, "put raises at once: there is no feeder thread to print it"):
            with pytest.raises((pickle.PicklingError, AttributeError, TypeError, RuntimeError)):
                q.put(item)
            assert q.qsize() == 0
        else:
            q.put(item)
    eventually(lambda: q.qsize() == 0)
    q.put(1)
    q.put(2)
    assert q.full() is True
    assert q.get(timeout=SOON) == 1
    if not mp.ours:
        assert "Traceback" in capfd.readouterr().err


def test_an_item_is_as_it_was_when_it_was_put(mp, kind):
    q = getattr(mp, kind)()
    item = [1]
    q.put(item)
    item.append(2)
    if differs(mp, "an item is pickled by put, not some time later"):
        assert q.get(timeout=SOON) == [1]
    else:
        assert q.get(timeout=SOON) in ([1], [1, 2])


@pytest.mark.parametrize("kind", ALL)
def test_it_is_pickled_for_a_process_being_started_only(mp, kind):
    q = getattr(mp, kind)()
    for dumps in (pickle.dumps, ForkingPickler.dumps):
        with pytest.raises(RuntimeError, match="should only be shared between processes"):
            dumps(q)


def test_a_maxsize_or_timeout_that_is_no_number_is_a_type_error(mp, kind):
    with pytest.raises(TypeError):
        getattr(mp, kind)("many")
    q = getattr(mp, kind)(1)
    with pytest.raises(TypeError):
        q.get(True, "soon")
    q.put(1)
    with pytest.raises(TypeError):
        q.put(2, True, "soon")


# Closing


def test_a_closed_queue_takes_and_gives_nothing(mp, kind):
    q = getattr(mp, kind)()
    q.put("before")
    assert q.get(timeout=SOON) == "before"
    q.close()
    q.close()
    for call in (lambda: q.put(1), q.get, q.get_nowait, lambda: q.put_nowait(1)):
        with pytest.raises(ValueError, match="is closed"):
            call()
    q.join_thread()
    q.join_thread()


def test_join_thread_comes_after_close(mp, kind):
    q = getattr(mp, kind)()
    with pytest.raises(AssertionError, match="not closed"):
        q.join_thread()
    q.cancel_join_thread()
    q.put(1)
    q.close()
    q.join_thread()


@METHODS
def test_closing_is_for_one_process_alone(mp, kind):
    q = getattr(mp, kind)()
    peer = mp.peer(q=q)
    peer.q.put("left behind")
    peer.q.close()
    peer.q.join_thread()
    with pytest.raises(ValueError, match="is closed"):
        peer.q.get()
    assert q.get(timeout=SOON) == "left behind"
    q.put("fine")
    assert q.get(timeout=SOON) == "fine"


# JoinableQueue


def test_one_task_done_too_many_is_a_value_error(mp):
    q = mp.JoinableQueue()
    with pytest.raises(ValueError, match="called too many times"):
        q.task_done()
    q.put(1)
    q.get()
    q.task_done()
    with pytest.raises(ValueError, match="called too many times"):
        q.task_done()


def test_join_returns_at_once_with_nothing_to_do(mp):
    q = mp.JoinableQueue()
    q.join()
    q.put(1)
    q.get()
    q.task_done()
    q.join()


@METHODS
def test_join_waits_for_every_task_of_every_process(mp):
    q = mp.JoinableQueue()
    peer = mp.peer(q=q)
    for number in range(3):
        q.put(number)
    joining = peer.blocked("q.join")
    assert q.get() == 0
    q.task_done()
    other = mp.peer(q=q)
    assert other.q.get() == 1
    assert q.get() == 2
    q.task_done()
    until_asleep(peer.pid)
    assert not joining.done()
    other.q.task_done()
    assert joining.result() is None
    assert Worker(q.join).result() is None


@METHODS
def test_workers_do_all_tasks_before_join_returns(mp):
    q, done = mp.JoinableQueue(10), mp.Queue()
    workers = [mp.start(children.work, q, done) for _ in range(2)]
    for number in range(100):
        q.put(number)
    q.join()
    assert sorted(done.get(timeout=SOON) for _ in range(100)) == list(range(100))
    for _ in workers:
        q.put(None)
    for worker in workers:
        worker.join(SOON)
        assert worker.exitcode == 0


def test_a_task_put_while_another_is_done_is_waited_for(mp):
    q = mp.JoinableQueue()
    q.put(1)
    q.get()
    joining = Worker(q.join).blocked()
    q.put(2)
    q.task_done()
    q.get()
    time.sleep(0)
    assert joining.is_alive()
    q.task_done()
    joining.result()


# SimpleQueue


def test_a_simple_queue_says_whether_it_is_empty(mp):
    q = mp.SimpleQueue()
    assert q.empty() is True
    q.put(None)
    assert q.empty() is False
    assert q.get() is None
    assert q.empty() is True


def test_a_simple_queue_raises_what_cant_be_pickled_at_put(mp):
    q = mp.SimpleQueue()
    for item in unpicklable(mp):
        with pytest.raises((pickle.PicklingError, AttributeError, TypeError, RuntimeError)):
            q.put(item)
    assert q.empty() is True
    q.put("next")
    assert q.get() == "next"


def test_a_closed_simple_queue_is_an_os_error(mp):
    q = mp.SimpleQueue()
    q.close()
    q.close()
    for call in (q.empty, q.get, lambda: q.put(1)):
        with pytest.raises(OSError, match="is closed"):
            call()


def test_the_pieces_that_pools_look_at_are_there(mp):
    q = mp.SimpleQueue()
    assert q._reader.poll() is False
    q._writer.send(("by", "send"))
    assert mp.wait([q._reader], SOON) == [q._reader]
    assert q.get() == ("by", "send")
    q.put("by put")
    assert q._reader.recv() == "by put"
    with q._rlock:
        pass
    with q._wlock:
        pass
    q._writer.close()
    with pytest.raises(EOFError):
        q.get()


@METHODS
def test_two_processes_put_into_a_simple_queue(mp):
    q = mp.SimpleQueue()
    processes = [mp.start(children.produce, q, mark, 300) for mark in range(2)]
    got = [q.get() for _ in range(600)]
    assert sorted(got) == [(mark, n) for mark in range(2) for n in range(300)]
    for process in processes:
        process.join(SOON)
        assert process.exitcode == 0


def test_a_simple_queue_is_a_generic_type(mp):
    kind = type(mp.SimpleQueue())
    assert str(kind[int]).endswith("SimpleQueue[int]")


# Tasks that one process gets and another says are done


@pytest.mark.methods("fork", "spawn", "forkserver")
def test_task_done_counts_whoever_calls_it(mp):
    tasks = mp.JoinableQueue()
    peer = mp.peer(tasks=tasks)
    for number in range(3):
        tasks.put(number)
    assert [peer.tasks.get() for _ in range(3)] == [0, 1, 2]
    for _ in range(3):
        tasks.task_done()
    tasks.join()
    for caller in (tasks, peer.tasks):
        with pytest.raises(ValueError):
            caller.task_done()
    # And each its own again.
    tasks.put("mine")
    tasks.put("yours")
    assert tasks.get() == "mine" and peer.tasks.get() == "yours"
    peer.tasks.task_done()
    joining = Worker(tasks.join).blocked()
    tasks.task_done()
    joining.result()


def test_task_done_counts_before_anybody_has_the_task(mp):
    tasks = mp.JoinableQueue()
    for number in range(3):
        tasks.put(number)
    for _ in range(3):
        tasks.task_done()
    with pytest.raises(ValueError):
        tasks.task_done()
    tasks.join()
    assert [tasks.get(timeout=5) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError):
        tasks.task_done()
    tasks.join()
    tasks.put("another")
    joining = Worker(tasks.join).blocked()
    assert tasks.get(timeout=5) == "another"
    tasks.task_done()
    joining.result()


def test_a_forked_child_says_that_what_its_parent_got_is_done(mp):
    tasks = mp.JoinableQueue()
    tasks.put("task")
    assert tasks.get(timeout=5) == "task"
    mp.start(children.say_done, tasks).join()
    tasks.join()


def test_as_many_as_were_put_are_done_whoever_gets_and_whoever_says_so(mp):
    tasks, done = mp.JoinableQueue(), mp.SimpleQueue()
    workers = [mp.start(children.get_and_tell, tasks, done) for _ in range(3)]
    for number in range(200):
        tasks.put(bytes(number * 50))
    joining = Worker(tasks.join)
    lengths = []
    for _ in range(200):
        length, is_whole = done.get()
        assert is_whole
        lengths.append(length)
        tasks.task_done()
    joining.result()
    assert sorted(lengths) == [number * 50 for number in range(200)]
    with pytest.raises(ValueError):
        tasks.task_done()
    for _ in workers:
        tasks.put(None)
    for worker in workers:
        worker.join()


@pytest.mark.only("slipring")
def test_a_killed_worker_s_tasks_come_back_though_another_one_s_was_ended_by_us(mp):
    tasks = mp.JoinableQueue()
    first, second = mp.peer(tasks=tasks), mp.peer(tasks=tasks)
    tasks.put("one")
    tasks.put("two")
    assert first.tasks.get() == "one" and second.tasks.get() == "two"
    tasks.task_done()
    # "one" was the oldest: it is done, and its worker's death does not bring it back.
    first.kill()
    second.kill()
    assert tasks.get(timeout=5) == "two"
    with pytest.raises(queue.Empty):
        tasks.get(timeout=0.3)
    tasks.task_done()
    tasks.join()


@pytest.mark.only("slipring")
def test_what_a_killed_worker_had_is_counted_when_it_comes_back(mp):
    tasks = mp.JoinableQueue()
    peer = mp.peer(tasks=tasks)
    tasks.put("task")
    assert peer.tasks.get() == "task"
    peer.kill()
    tasks.task_done()
    tasks.join()
    assert tasks.get(timeout=5) == "task"
    tasks.join()
    with pytest.raises(ValueError):
        tasks.task_done()
