"""What others see when a process is killed: they carry on.

multiprocessing hangs in nearly all of these, so they are for slipring alone.
"""

import concurrent.futures
import operator
import os
import queue
import random
import signal
import threading
import time

import children
import pytest
from helpers import SOON, Worker, eventually, takes, until_asleep

pytestmark = [pytest.mark.only("slipring"), pytest.mark.methods("fork", "spawn")]

# Seconds in which a death is known to all, on a machine that does other things as well.
AT_ONCE = 0.2


# Locks


@pytest.mark.parametrize("kind", ("Lock", "RLock", "BoundedSemaphore"))
def test_what_a_killed_process_held_is_had_by_who_waits(mp, kind):
    lock = getattr(mp, kind)()
    holder, waiter = mp.peer(lock=lock), mp.peer(lock=lock)
    holder.lock.acquire()
    waiting = waiter.blocked("lock.acquire")
    holder.kill()
    with takes(0, AT_ONCE):
        assert waiting.result() is True
    assert lock.acquire(False) is False
    waiter.lock.release()
    assert lock.acquire(False) is True


@pytest.mark.parametrize("kind", ("Lock", "RLock", "BoundedSemaphore"))
def test_what_a_killed_process_held_is_had_by_who_asks_later(mp, kind):
    lock = getattr(mp, kind)()
    holder = mp.peer(lock=lock)
    holder.lock.acquire()
    holder.kill()
    with takes(0, AT_ONCE):
        assert lock.acquire(True, SOON) is True
    lock.release()
    # The next holder's death is nothing else.
    second = mp.peer(lock=lock)
    second.lock.acquire()
    second.kill()
    assert lock.acquire(True, SOON) is True


def test_an_rlock_held_several_times_over_comes_back_whole(mp):
    lock = mp.RLock()
    holder = mp.peer(lock=lock)
    for _ in range(3):
        holder.lock.acquire()
    holder.kill()
    assert lock.acquire(True, SOON) is True
    lock.release()
    with pytest.raises(AssertionError):
        lock.release()


def test_all_permits_of_a_killed_process_come_back_and_no_more(mp):
    semaphore = mp.BoundedSemaphore(3)
    holder = mp.peer(semaphore=semaphore)
    holder.semaphore.acquire()
    holder.semaphore.acquire()
    assert semaphore.acquire(False) is True
    holder.kill()
    assert semaphore.acquire(True, SOON) is True
    assert semaphore.acquire(True, SOON) is True
    assert semaphore.acquire(False) is False
    for _ in range(3):
        semaphore.release()
    with pytest.raises(ValueError):
        semaphore.release()


def test_a_waiter_that_is_killed_takes_no_lock_along(mp):
    lock = mp.Lock()
    lock.acquire()
    waiter = mp.peer(lock=lock)
    waiter.blocked("lock.acquire")
    waiter.kill()
    lock.release()
    assert lock.acquire(True, SOON) is True


def test_a_lock_of_a_value_or_a_condition_comes_back(mp):
    value, cond = mp.Value("i", 5), mp.Condition()
    holder = mp.peer(value=value, cond=cond)
    holder.value.acquire()
    holder.cond.acquire()
    holder.kill()
    with takes(0, 2 * AT_ONCE):
        with value.get_lock():
            value.value += 1
        with cond:
            cond.notify_all()
    assert value.value == 6


def test_a_lock_is_not_taken_from_a_process_that_is_stopped(mp):
    lock = mp.Lock()
    holder = mp.peer(lock=lock)
    holder.lock.acquire()
    holder.signal(signal.SIGSTOP)
    assert lock.acquire(True, 0.5) is False
    holder.signal(signal.SIGCONT)
    holder.lock.release()
    assert lock.acquire(True, SOON) is True


# Those who wait


def test_notify_all_does_not_wait_for_the_dead(mp):
    cond = mp.Condition()
    peers = [mp.peer(cond=cond) for _ in range(3)]
    waits = []
    for peer in peers:
        peer.cond.acquire()
        waits.append(peer.begin("cond.wait", SOON))
    with cond:
        pass
    for peer in peers[:2]:
        peer.kill()
    with takes(0, 5), cond:
        cond.notify_all()
    assert waits[2].result() is True
    peers[2].cond.release()
    for _ in range(3):
        with takes(0, 5), cond:
            cond.notify_all()
            cond.notify(2)


def test_event_set_does_not_wait_for_the_dead(mp):
    event = mp.Event()
    peers = [mp.peer(event=event) for _ in range(3)]
    waits = [peer.blocked("event.wait") for peer in peers]
    for peer in peers[:2]:
        peer.kill()
    with takes(0, 5):
        event.set()
    assert waits[2].result() is True
    event.clear()
    assert event.wait(0.01) is False


def test_a_party_that_is_killed_breaks_the_barrier(mp):
    barrier = mp.Barrier(3)
    peers = [mp.peer(barrier=barrier) for _ in range(2)]
    waits = [peer.blocked("barrier.wait", SOON) for peer in peers]
    peers[0].kill()
    with pytest.raises(threading.BrokenBarrierError):
        waits[1].result(5)


# Queues


@pytest.mark.parametrize("kind", ("Queue", "SimpleQueue"))
def test_a_process_killed_in_get_takes_nothing_along(mp, kind):
    q = getattr(mp, kind)()
    for _ in range(3):
        peer = mp.peer(q=q)
        peer.blocked("q.get")
        peer.kill()
    q.put("item")
    assert Worker(q.get).result() == "item"


def test_a_process_killed_in_put_leaves_room(mp):
    q = mp.Queue(1)
    q.put("first")
    peer = mp.peer(q=q)
    peer.blocked("q.put", "never")
    peer.kill()
    assert q.get(timeout=SOON) == "first"
    q.put("second", timeout=SOON)
    assert q.get(timeout=SOON) == "second"
    assert q.empty() is True


@pytest.mark.parametrize("size", (0, 5000))
def test_producers_killed_at_random_leave_the_queue_working(mp, size):
    q = mp.Queue(64)
    got = {}
    started = []

    def start():
        process = mp.start(children.produce_for_ever, q, len(started), bytes(size))
        started.append(process)
        return process

    running = [start() for _ in range(2)]
    deadline = time.monotonic() + 1.5
    kill_at = time.monotonic() + 0.2
    while time.monotonic() < deadline:
        mark, number, payload = q.get(timeout=SOON)
        assert payload == bytes(size)
        got.setdefault(mark, []).append(number)
        if time.monotonic() > kill_at:
            kill_at = time.monotonic() + 0.2
            victim = running.pop(random.randrange(len(running)))
            victim.kill()
            victim.join()
            running.append(start())
    for process in running:
        process.kill()
        process.join()
    ending = Worker(q.put, "the end")
    for mark, number, _ in iter(lambda: q.get(timeout=SOON), "the end"):
        got.setdefault(mark, []).append(number)
    ending.result()
    assert len(started) > 4
    # What was put before the kill is there, in order, each once.
    for numbers in got.values():
        assert numbers == list(range(len(numbers)))


def test_consumers_killed_at_random_lose_what_they_held_at_most(mp):
    q, results = mp.Queue(64), mp.Queue()
    total, kills = 4000, 0
    consumers = [mp.start(children.pass_on, q, results) for _ in range(2)]
    for number in range(total):
        q.put(number, timeout=SOON)
        if number % 500 == 499:
            kills += 1
            consumers[0].kill()
            consumers[0].join()
            consumers = [consumers[1], mp.start(children.pass_on, q, results)]
    eventually(q.empty)
    for _ in consumers:
        q.put(None)
    for consumer in consumers:
        consumer.join(SOON)
        assert consumer.exitcode == 0
    results.put(None)
    got = list(iter(lambda: results.get(timeout=SOON), None))
    assert len(set(got)) == len(got), "none comes twice"
    assert set(got) <= set(range(total))
    assert total - len(got) <= kills


def test_the_tasks_of_a_killed_worker_go_to_another(mp):
    q, done = mp.JoinableQueue(), mp.Queue()
    for number in range(10):
        q.put(number)
    victim = mp.peer(q=q)
    taken = [victim.q.get(), victim.q.get()]
    assert taken == [0, 1]
    joining = Worker(q.join).blocked()
    victim.kill()
    worker = mp.start(children.work, q, done)
    assert sorted(done.get(timeout=SOON) for _ in range(10)) == list(range(10))
    joining.result()
    q.put(None)
    worker.join(SOON)
    assert worker.exitcode == 0


def test_join_ends_under_random_kills_of_workers(mp):
    q, done = mp.JoinableQueue(), mp.Queue()
    total = 400
    for number in range(total):
        q.put(number)
    workers = [mp.start(children.work_slowly, q, done) for _ in range(2)]
    joining = Worker(q.join)
    for left in (350, 250, 150, 50):
        eventually(lambda left=left: q.qsize() < left)
        workers[-2].kill()
        workers.append(mp.start(children.work_slowly, q, done))
    joining.result()
    done.put(None)
    # One that was killed after it did a task, and before it said so, has it done again.
    assert set(iter(lambda: done.get(timeout=SOON), None)) == set(range(total))
    assert q.qsize() == 0


# Connections


def test_a_process_killed_while_it_sends_leaves_whole_messages_and_then_eof(mp):
    reader, writer = mp.Pipe(False)
    process = mp.start(children.send_for_ever, writer, 300_000)
    writer.close()
    for _ in range(20):
        message = reader.recv_bytes()
        assert message == bytes([message[0]]) * 300_000
    process.kill()
    process.join()
    with pytest.raises(EOFError):
        while True:
            message = reader.recv_bytes()
            assert message == bytes([message[0]]) * 300_000


def test_eof_comes_at_once_to_who_waits(mp):
    ours, theirs = mp.Pipe()
    peer = mp.peer(conn=theirs)
    theirs.close()
    waiting = Worker(ours.recv).blocked()
    polling = Worker(ours.poll, None).blocked()
    peer.kill()
    with takes(0, AT_ONCE):
        assert polling.result() is True
        with pytest.raises(EOFError):
            waiting.result()
    with pytest.raises(BrokenPipeError):
        ours.send("anyone?")


def test_a_writer_killed_while_others_write_does_not_matter_to_them(mp):
    reader, writer = mp.Pipe(False)
    victim = mp.start(children.send_for_ever, writer, 200_000)
    other = mp.start(children.send_blocks, writer, 255, 30, 200_000)
    writer.close()
    seen = 0
    while seen < 30:
        message = reader.recv_bytes()
        assert message == bytes([message[0]]) * 200_000
        seen += message[0] == 255
        if seen == 5:
            victim.kill()
    other.join(SOON)
    assert other.exitcode == 0


# Pool


@pytest.fixture
def died(mp):
    return mp.module.WorkerDied


def test_a_task_that_kills_its_worker_fails_with_its_name_and_the_exit_code(mp, died):
    with mp.Pool(2) as pool:
        others = [pool.apply_async(operator.neg, (n,)) for n in range(20)]
        with pytest.raises(died) as caught:
            pool.apply_async(children.kill_worker, ("deadly",)).get(SOON)
        assert "kill_worker" in str(caught.value)
        assert caught.value.exitcode == -signal.SIGKILL
        assert "-9" in str(caught.value) or "SIGKILL" in str(caught.value)
        assert [other.get(SOON) for other in others] == [-n for n in range(20)]
        assert pool.apply(operator.neg, (1,)) == -1


def test_a_worker_that_exits_in_a_task_is_told_with_its_code(mp, died):
    with mp.Pool(1) as pool:
        with pytest.raises(died) as caught:
            pool.apply_async(os._exit, (3,)).get(SOON)
        assert caught.value.exitcode == 3
        assert pool.apply(operator.neg, (1,)) == -1


@pytest.mark.parametrize("how", ("map", "starmap"))
def test_a_map_with_a_deadly_task_fails_and_the_pool_goes_on(mp, died, how):
    arguments = [1, 2, "deadly", 3]
    with mp.Pool(2) as pool:
        other = pool.map_async(operator.neg, range(100), 1)
        with pytest.raises(died):
            if how == "map":
                pool.map_async(children.kill_worker_if_deadly, arguments, 1).get(SOON)
            else:
                pairs = [(argument, None) for argument in arguments]
                pool.starmap_async(children.kill_worker_if_deadly, pairs, 1).get(SOON)
        assert other.get(SOON) == [-n for n in range(100)]
        assert pool.map(operator.neg, range(20)) == [-n for n in range(20)]


def test_imap_gives_every_other_result(mp, died):
    arguments = [1, 2, "deadly", 3, 4]
    with mp.Pool(2) as pool:
        results = pool.imap(children.kill_worker_if_deadly, arguments)
        assert [results.next(SOON), results.next(SOON)] == [1, 2]
        with pytest.raises(died):
            results.next(SOON)
        assert [results.next(SOON), results.next(SOON)] == [3, 4]
        with pytest.raises(StopIteration):
            results.next(SOON)


def test_imap_unordered_gives_every_other_result(mp, died):
    arguments = [1, 2, "deadly", 3, 4]
    with mp.Pool(2) as pool:
        results = pool.imap_unordered(children.kill_worker_if_deadly, arguments)
        got, errors = [], 0
        for _ in arguments:
            try:
                got.append(results.next(SOON))
            except died:
                errors += 1
    assert (sorted(got), errors) == ([1, 2, 3, 4], 1)


def test_a_worker_killed_from_outside_costs_its_own_task_alone(mp, died):
    event, started = mp.Event(), mp.Queue()
    with mp.Pool(2, initializer=children.remember, initargs=((event, started),)) as pool:
        results = [pool.apply_async(children.say_and_wait, (n,)) for n in range(2)]
        pids = dict(started.get(timeout=SOON) for _ in range(2))
        os.kill(pids[0], signal.SIGKILL)
        with pytest.raises(died):
            results[0].get(SOON)
        event.set()
        assert results[1].get(SOON) == 1


def test_a_worker_killed_while_idle_costs_nothing(mp):
    with mp.Pool(2) as pool:
        pids = set(pool.map(children.slow_pid, range(8), 1))
        for pid in pids:
            until_asleep(pid)
            os.kill(pid, signal.SIGKILL)
        assert pool.map_async(operator.neg, range(50), 1).get(SOON) == [-n for n in range(50)]


def test_a_pool_outlives_many_deaths(mp, died):
    with mp.Pool(2) as pool:
        deadly = [pool.apply_async(children.kill_worker, (n,)) for n in range(6)]
        fine = [pool.apply_async(operator.neg, (n,)) for n in range(30)]
        for result in deadly:
            with pytest.raises(died):
                result.get(SOON)
        assert [result.get(SOON) for result in fine] == [-n for n in range(30)]
        pool.close()
        pool.join()


def test_an_executor_whose_worker_dies_says_so_and_ends(mp):
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=mp.context) as executor:
        future = executor.submit(children.kill_worker, "deadly")
        with pytest.raises(concurrent.futures.process.BrokenProcessPool):
            future.result(SOON)
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=mp.context) as executor:
        assert executor.submit(operator.neg, 1).result(SOON) == -1


# All at once


def test_everything_is_free_again_after_a_process_with_everything_is_killed(mp):
    everything = children.one_of_each(mp.context)
    process = mp.start(children.use_all, everything)
    assert everything["queue"].get(timeout=SOON) == "used"
    process.kill()
    process.join()
    lock, rlock, semaphore, bounded = everything["locks"]
    for held in (lock, rlock, bounded, everything["value"], everything["condition"]):
        assert held.acquire(True, SOON) is True
    # A plain semaphore may be released by anyone: nobody holds it.
    assert semaphore.acquire(False) is False
    assert everything["joinable"].get(timeout=SOON) == bytes(100_000)
    assert everything["simple"].get() == "text"
    assert everything["value"].value == 2
    with pytest.raises(queue.Empty):
        everything["queue"].get_nowait()
