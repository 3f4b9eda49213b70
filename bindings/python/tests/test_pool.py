"""Pool and ProcessPoolExecutor over the context under test."""

import concurrent.futures
import operator
import os
import signal

import children
import pytest
from helpers import SOON, eventually

METHODS = pytest.mark.methods("fork", "spawn")
pytestmark = METHODS


@pytest.fixture
def pool(mp):
    with mp.Pool(2) as pool:
        yield pool


def test_map_keeps_the_order(pool):
    for chunksize in (None, 1, 7):
        assert pool.map(operator.neg, range(100), chunksize) == [-n for n in range(100)]
    assert pool.map(operator.neg, []) == []
    assert pool.map_async(operator.neg, [1, 2]).get(SOON) == [-1, -2]


def test_apply_takes_arguments(pool):
    assert pool.apply(children.describe, (1, 2), {"key": 3}) == ((1, 2), {"key": 3})
    results = [pool.apply_async(operator.mul, (n, n)) for n in range(20)]
    assert [result.get(SOON) for result in results] == [n * n for n in range(20)]


def test_starmap_spreads_arguments(pool):
    assert pool.starmap(operator.sub, [(n, 1) for n in range(30)], 4) == list(range(-1, 29))
    assert pool.starmap_async(operator.sub, [(3, 1)]).get(SOON) == [2]


def test_imap_gives_results_one_by_one(pool):
    results = pool.imap(operator.neg, iter(range(50)))
    assert next(results) == 0
    assert results.next(SOON) == -1
    assert list(results) == [-n for n in range(2, 50)]
    assert sorted(pool.imap_unordered(operator.neg, range(50), 5)) == [-n for n in range(49, -1, -1)]


def test_large_arguments_and_results_pass(pool):
    data = [bytes([n]) * 1_000_000 for n in range(8)]
    assert pool.map(children.echo, data, 1) == data


def test_an_error_in_a_task_is_the_callers(pool):
    with pytest.raises(LookupError, match="on purpose") as caught:
        pool.apply(children.fail)
    assert "in fail" in str(caught.value.__cause__)
    with pytest.raises(ZeroDivisionError):
        pool.map(children.invert, [1, 2, 0, 4])
    results = pool.imap(children.invert, [1, 0, 2])
    assert next(results) == 1.0
    with pytest.raises(ZeroDivisionError):
        next(results)
    assert next(results) == 0.5
    assert pool.apply(operator.neg, (1,)) == -1


def test_callbacks_are_called(pool):
    called = []
    pool.apply_async(operator.neg, (1,), callback=called.append).wait(SOON)
    eventually(lambda: called == [-1])
    pool.apply_async(children.fail, error_callback=called.append).wait(SOON)
    eventually(lambda: len(called) == 2)
    assert isinstance(called[1], LookupError)


def test_a_task_or_result_that_cant_be_pickled_is_an_error_of_that_task(pool):
    with pytest.raises((AttributeError, TypeError, Exception)):
        pool.apply_async(operator.neg, (lambda: 0,)).get(SOON)
    with pytest.raises(Exception, match="(?s)MaybeEncodingError|Error sending result"):
        pool.apply_async(children.unpicklable).get(SOON)
    assert pool.apply(operator.neg, (5,)) == -5


def test_each_worker_is_initialised(mp):
    with mp.Pool(2, initializer=children.remember, initargs=("told",)) as pool:
        assert pool.map(children.recall, range(10), 1) == ["told"] * 10


def test_initargs_carry_queues_and_locks(mp):
    q, lock, value = mp.Queue(), mp.Lock(), mp.Value("i", 0)
    with mp.Pool(2, initializer=children.remember, initargs=((q, lock, value),)) as pool:
        pool.map(children.use_remembered, range(50), 1)
        assert value.value == 50
        assert sorted(q.get(timeout=SOON) for _ in range(50)) == list(range(50))


def test_workers_are_replaced_after_so_many_tasks(mp):
    with mp.Pool(1, maxtasksperchild=2) as pool:
        pids = [pool.apply(os.getpid) for _ in range(6)]
    assert len(set(pids)) == 3


def test_close_and_join_let_the_tasks_end(mp):
    pool = mp.Pool(2)
    result = pool.map_async(operator.neg, range(1000), 1)
    pool.close()
    with pytest.raises(ValueError, match="not running"):
        pool.apply(operator.neg, (1,))
    pool.join()
    assert result.get(SOON) == [-n for n in range(1000)]


def test_terminate_ends_tasks_that_would_not_end(mp):
    event = mp.Event()
    pool = mp.Pool(2, initializer=children.remember, initargs=(event,))
    result = pool.map_async(children.wait_for_remembered, range(4))
    pool.terminate()
    pool.join()
    assert result.ready() is False


def test_a_task_is_waited_for_no_longer_than_told(mp):
    event = mp.Event()
    with mp.Pool(1, initializer=children.remember, initargs=(event,)) as pool:
        result = pool.apply_async(children.wait_for_remembered, (0,))
        with pytest.raises(mp.TimeoutError):
            result.get(0.05)
        event.set()
        assert result.get(SOON) is True


# ProcessPoolExecutor


@pytest.fixture
def executor(mp):
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=mp.context) as executor:
        yield executor


def test_an_executor_runs_over_the_context(executor):
    assert list(executor.map(operator.neg, range(50), chunksize=3)) == [-n for n in range(50)]
    futures = [executor.submit(operator.mul, n, 2) for n in range(50)]
    assert [future.result(SOON) for future in futures] == [n * 2 for n in range(50)]
    with pytest.raises(LookupError, match="on purpose"):
        executor.submit(children.fail).result(SOON)
    data = bytes(2_000_000)
    assert executor.submit(children.echo, data).result(SOON) == data
    with pytest.raises((AttributeError, TypeError, Exception)):
        executor.submit(operator.neg, lambda: 0).result(SOON)
    assert executor.submit(operator.neg, 1).result(SOON) == -1


def test_an_executor_whose_worker_is_killed_says_so(executor):
    pid = executor.submit(os.getpid).result(SOON)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(concurrent.futures.process.BrokenProcessPool):
        while True:
            executor.submit(operator.neg, 1).result(SOON)


def test_an_executor_initialises_its_workers_with_shared_objects(mp):
    lock, value, q = mp.Lock(), mp.Value("i", 0), mp.Queue()
    with concurrent.futures.ProcessPoolExecutor(
        2, mp_context=mp.context, initializer=children.remember, initargs=((q, lock, value),)
    ) as executor:
        list(executor.map(children.use_remembered, range(20)))
    assert value.value == 20
    assert sorted(q.get(timeout=SOON) for _ in range(20)) == list(range(20))
