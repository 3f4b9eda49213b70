"""mpire as its manual shows it. Its own tests are in its repository alone."""

import mpire
import pytest


def square(x):
    return x * x


def add(shared, x):
    return shared + x


def fail(x):
    if x == 3:
        raise ZeroDivisionError("three")
    return x


def sleep(x):
    import time

    time.sleep(60)


def begin(state):
    state["sum"] = 0


def count(state, x):
    state["sum"] += x


def end(state):
    return state["sum"]


METHODS = pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])


@METHODS
def test_maps(method):
    with mpire.WorkerPool(2, start_method=method) as pool:
        assert pool.map(square, range(20)) == [x * x for x in range(20)]
        assert sorted(pool.imap_unordered(square, range(20), chunk_size=3)) == [x * x for x in range(20)]
        assert pool.apply_async(square, (7,)).get(timeout=30) == 49
    with mpire.WorkerPool(2, start_method=method, shared_objects=5) as pool:
        assert pool.map(add, range(4)) == [5, 6, 7, 8]


@METHODS
def test_workers_have_a_state_a_beginning_and_an_end(method):
    with mpire.WorkerPool(2, start_method=method, use_worker_state=True) as pool:
        for _ in range(2):
            pool.map(count, range(10), worker_init=begin, worker_exit=end)
            assert sum(pool.get_exit_results()) == 45


@METHODS
def test_an_error_is_the_callers_and_the_pool_goes_on(method):
    with mpire.WorkerPool(2, start_method=method) as pool:
        with pytest.raises(ZeroDivisionError, match="three"):
            pool.map(fail, range(10))
        assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]


@METHODS
def test_a_task_that_takes_too_long_is_ended(method):
    with mpire.WorkerPool(2, start_method=method) as pool, pytest.raises(TimeoutError):
        pool.map(sleep, range(2), task_timeout=0.5)
