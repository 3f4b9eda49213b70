"""pynisher as its manual shows it. Its own tests are in its repository alone."""

import time

import pynisher
import pytest


def square(x):
    return x * x


def sleep(seconds):
    time.sleep(seconds)


def use(megabytes):
    return len(bytearray(megabytes << 20))


def compute():
    while True:
        pass


def fail():
    raise ZeroDivisionError("on purpose")


METHODS = pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])


@METHODS
def test_a_result_comes_back(method):
    assert pynisher.limit(square, context=method, wall_time=60)(7) == 49
    assert len(pynisher.limit(bytes, context=method, wall_time=60)(5_000_000)) == 5_000_000


@METHODS
def test_time_is_limited(method):
    with pytest.raises(pynisher.WallTimeoutException):
        pynisher.limit(sleep, context=method, wall_time=2)(60)
    with pytest.raises(pynisher.CpuTimeoutException):
        pynisher.limit(compute, context=method, cpu_time=2)()


@METHODS
def test_memory_is_limited(method):
    limited = pynisher.limit(use, context=method, memory=(1000, "MB"))
    assert limited(20) == 20 << 20
    with pytest.raises(pynisher.MemoryLimitException):
        limited(2000)


@METHODS
def test_an_error_is_the_callers(method):
    with pytest.raises(ZeroDivisionError, match="on purpose"):
        pynisher.limit(fail, context=method, wall_time=60)()
