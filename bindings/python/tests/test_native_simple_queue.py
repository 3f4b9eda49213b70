"""SimpleQueue: kills, and the standard library's pool on it."""

import multiprocessing.pool
import os
import pickle
import signal
import time

import pytest
from forks import exit_code, forked
from slipring.context import _default_context
from slipring.simple import SimpleQueue

PATIENCE = 20.0


@pytest.fixture
def queue():
    queue = SimpleQueue(ctx=_default_context.get_context())
    yield queue
    queue.close()


def test_a_simple_queue_gives_in_order_and_knows_at_once_what_was_put(queue):
    assert queue.empty()
    for obj in (1, "two", b"three", None, bytes(1 << 20)):
        queue.put(obj)
        assert not queue.empty()
    assert [queue.get() for _ in range(4)] == [1, "two", b"three", None]
    assert len(queue.get()) == 1 << 20 and queue.empty()
    queue.close()
    queue.close()
    with pytest.raises(OSError, match="is closed"):
        queue.empty()


def test_a_simple_queue_takes_much_before_anybody_gets(queue):
    child = forked(lambda: [queue.put(bytes(1000)) for _ in range(200)] and None)
    assert exit_code(child) == 0
    assert sum(len(queue.get()) for _ in range(200)) == 200_000


def test_a_simple_queue_is_pickled_for_processes_only(queue):
    with pytest.raises(RuntimeError):
        pickle.dumps(queue)


def serve(requests, results):
    for request in iter(requests.get, None):
        results.put((os.getpid(), request * 2))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_simple_queues_serve_processes_that_are_killed(method):
    context = _default_context.get_context(method)
    requests, results = SimpleQueue(ctx=context), SimpleQueue(ctx=context)
    workers = [context.Process(target=serve, args=(requests, results)) for _ in range(2)]
    [worker.start() for worker in workers]
    requests.put(1)
    first, result = results.get()
    assert result == 2
    os.kill(first, signal.SIGKILL)
    for number in range(20):
        requests.put(number)
    answers = []
    while results._reader.poll(2):
        who, result = results.get()
        assert who != first
        answers.append(result)
    # The killed one may have had one in its hands.
    assert len(answers) >= 19
    for _ in workers:
        requests.put(None)
    [worker.join(PATIENCE) for worker in workers]
    assert sorted(worker.exitcode for worker in workers) == [-signal.SIGKILL, 0]


@pytest.mark.parametrize("which", ["put", "get"])
def test_a_simple_queue_survives_kills_in_the_middle_of_its_calls(queue, which):
    calls = {"put": lambda: queue.put(bytes(2000)), "get": queue.get}
    partner = forked(lambda: [calls[{"put": "get", "get": "put"}[which]]() for _ in range(1 << 30)])
    for _ in range(8):
        victim = forked(lambda: [calls[which]() for _ in range(1 << 30)])
        time.sleep(0.02)
        os.kill(victim, signal.SIGKILL)
        exit_code(victim)
    os.kill(partner, signal.SIGKILL)
    exit_code(partner)
    while not queue.empty():
        queue.get()
    child = forked(lambda: queue.put("after all"))
    assert queue.get() == "after all"
    assert exit_code(child) == 0


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_standard_pool_works_on_simple_queues(method):
    context = _default_context.get_context(method)
    with multiprocessing.pool.Pool(2, context=context) as pool:
        assert pool.map(abs, range(-20, 0)) == list(range(20, 0, -1))
        assert pool.apply_async(len, ([1, 2],)).get(PATIENCE) == 2
