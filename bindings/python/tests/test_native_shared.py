"""What is particular about slipring's shared ctypes objects: where they live, kills, pickles, names."""

import ctypes
import gc
import multiprocessing
import os
import pickle
import signal
import threading
import time
import uuid
from multiprocessing import sharedctypes as standard

import pytest
from slipring import _native, sharedctypes
from slipring import context as slipring_context
from slipring.sharedctypes import Array, RawArray, RawValue, Value, copy, synchronized
from slipring.synchronize import Lock, RLock

fork = multiprocessing.get_context("fork")


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_double), ("n", ctypes.c_short)]


class Odd(ctypes.c_int):
    """A subclass may do what it likes."""

    @property
    def value(self):
        return "odd"


def run(target, *args):
    process = fork.Process(target=target, args=args)
    process.start()
    process.join(60)
    assert process.exitcode == 0


NUMBERS = {
    "b": [-128, 127, 200, -300],
    "B": [0, 255, 256, -1],
    "h": [-(2**15), 2**15 - 1, 2**15],
    "H": [0, 2**16 - 1, -1],
    "i": [-(2**31), 2**31 - 1, 2**31],
    "I": [0, 2**32 - 1, -1],
    "l": [-(2**63), 2**63 - 1, 2**63, 2**70],
    "L": [0, 2**64 - 1, -1, 2**70],
    "q": [-(2**63), 2**63 - 1, 2**64],
    "Q": [0, 2**64 - 1, 2**64],
    "d": [0.0, -1.5, 1e308, float("inf"), 3],
    "f": [0.0, -1.5, 1e-3, 3],
    "c": [b"x"],
    "u": ["\N{SNOWMAN}"],
}


@pytest.mark.parametrize("code", NUMBERS)
def test_a_value_is_what_ctypes_makes_of_it(code):
    ours, theirs = Value(code), standard.Value(code)
    assert ours.value == theirs.value
    for number in NUMBERS[code]:
        ours.value = theirs.value = number
        assert ours.value == theirs.value == ours.get_obj().value
        assert type(ours.value) is type(theirs.value)


@pytest.mark.parametrize("code", "iLdcu")
@pytest.mark.parametrize("wrong", [None, "text", 1.5, b"xx", [], 2 + 1j])
def test_a_wrong_value_is_refused_as_ctypes_refuses_it(code, wrong):
    ours, theirs = Value(code), standard.Value(code)
    try:
        theirs.value = wrong
    except Exception as error:
        with pytest.raises(type(error)) as refused:
            ours.value = wrong
        assert str(refused.value) == str(error)
    else:
        ours.value = wrong
        assert ours.value == theirs.value


def test_a_value_cannot_be_deleted_and_is_described():
    value = Value("i", 3)
    with pytest.raises(AttributeError):
        del value.value
    assert value.value == 3 and "lock held" in type(value).value.__doc__
    assert type(value).get_lock.__doc__ == "The lock."
    with pytest.raises(TypeError):
        value.get_lock(1)


def test_a_value_that_somebody_else_has_is_waited_for():
    value, held, go = Value("i", 0), threading.Event(), threading.Event()

    def hold():
        with value:
            held.set()
            go.wait(20)
            value.value = 5

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(20)
    threading.Timer(0.1, go.set).start()
    assert value.value == 5
    thread.join()


def test_wrong_values_leave_the_lock_free():
    value, array, text = Value("i"), Array("i", 2), Array("c", 2)
    for wrong in [
        lambda: setattr(value, "value", "text"),
        lambda: array[5],
        lambda: array.__setitem__(0, "text"),
        lambda: setattr(text, "value", b"too long"),
    ]:
        with pytest.raises((TypeError, IndexError, ValueError)):
            wrong()
    for wrapper in [value, array, text]:
        assert repr(wrapper.get_lock()) == "<RLock(None, 0)>"


def test_a_wrapper_of_what_is_not_ours_or_a_subclass_works_through_ctypes():
    foreign = synchronized(ctypes.c_int(5))
    foreign.value += 1
    assert foreign.value == 6
    assert Value(Odd).value == "odd"
    assert synchronized(standard.RawValue("i", 4)).value == 4


def test_a_structure_has_its_fields_and_a_string_its_value():
    point = Value(Point, 1.5, 7)
    point.x += 1
    assert (point.x, point.n, type(point).__name__) == (2.5, 7, "SynchronizedPoint")
    text = Array("c", 6)
    text.value = b"abc"
    assert (text.value, text.raw, len(text), text[1:3]) == (b"abc", b"abc\0\0\0", 6, b"bc")
    assert type(text).__mro__[1].__name__ == "SynchronizedArray"
    assert repr(Value("i", 3)) == "<Synchronized wrapper for c_int(3)>"


def test_what_a_child_writes_is_seen_here_in_all_of_them():
    value, array, raw, point = Value("q", 1), Array("d", 4), RawArray("h", [1, 2, 3]), RawValue(Point, 1, 2)

    def child():
        with value.get_lock():
            value.value += 1
        array[1:3] = [1.5, 2.5]
        raw[2] = 9
        point.x = 8

    run(child)
    assert (value.value, array[:], raw[:], point.x) == (2, [0, 1.5, 2.5, 0], [1, 2, 9], 8)


def test_increments_of_threads_and_processes_all_count():
    value = Value("i", 0)

    def many():
        for _ in range(2000):
            with value.get_lock():
                value.value += 1

    def child():
        threads = [threading.Thread(target=many) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    processes = [fork.Process(target=child) for _ in range(2)]
    for process in processes:
        process.start()
    many()
    for process in processes:
        process.join()
    assert value.value == 10_000


def test_a_killed_process_leaves_the_values_lock_to_the_next():
    value, held = Value("i", 0), RawValue("i")

    def hold():
        with value:
            held.value = 1
            time.sleep(60)

    process = fork.Process(target=hold)
    process.start()
    while not held.value:
        time.sleep(0.001)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    begin = time.monotonic()
    value.value += 1
    assert value.value == 1 and time.monotonic() - begin < 0.2


def test_the_lock_is_the_one_given_and_nothing_else_will_do():
    for lock in [Lock(), RLock(), fork.Lock()]:
        value = Value("i", 0, lock=lock)
        assert value.get_lock() is lock and value.value == 0
        array = Array("i", 1, lock=lock)
        assert array.get_lock() is lock and array[0] == 0
    for given in [True, None]:
        assert isinstance(Value("i", lock=given).get_lock(), RLock)
    for make in [lambda lock: Value("i", lock=lock), lambda lock: Array("i", 1, lock=lock)]:
        assert not hasattr(make(False), "get_lock")
        with pytest.raises(AttributeError, match="has no method 'acquire'"):
            make("navalue")
    value = Value("i", 5, lock=Lock())
    with value:
        assert value.get_obj().value == 5 and not value.acquire(False)


def test_memory_is_zero_also_where_somebody_had_it_before():
    for _ in range(20):
        array = RawArray("B", 4096)
        assert bytes(array) == bytes(4096)
        ctypes.memset(array, 255, 4096)
        del array
    assert len(RawArray("i", 0)) == 0


def test_memory_lives_as_long_as_a_view_of_it_and_no_longer():
    before = _native.segment_memory()
    array = RawArray("B", 1 << 20)
    view = memoryview(array).cast("B")[10:20]
    array[15] = 7
    del array
    gc.collect()
    assert view[5] == 7
    del view
    for _ in range(100):
        RawArray("B", 1 << 20)
    gc.collect()
    assert _native.segment_memory()[1] < before[1] + (16 << 20)


def test_a_block_is_a_writable_buffer():
    block = _native.Block(3, 1, 4)
    view = block.create_memoryview()
    assert (len(block), view.nbytes, view.readonly, view.format) == (12, 12, False, "B")
    view[:] = b"x" * 12
    assert bytes(block) == b"x" * 12
    for wrong in [(8, 3), (8, 128), (2**63, 1)]:
        with pytest.raises((ValueError, MemoryError, OverflowError)):
            _native.Block(*wrong)
    with pytest.raises((ValueError, MemoryError)):
        RawArray("B", 1 << 50)


def test_a_copy_is_another_object():
    array = RawArray("i", [1, 2])
    other = copy(array)
    other[0] = 9
    assert (array[:], other[:]) == ([1, 2], [9, 2])
    assert copy(RawValue(Point, 1, 2)).n == 2


def test_they_are_pickled_only_for_a_process_that_is_started():
    for obj in [Value("i"), Array("i", 1), RawValue("i"), RawArray("i", 1), Value(Point), Value("i").get_obj()]:
        with pytest.raises(RuntimeError):
            multiprocessing.reduction.ForkingPickler.dumps(obj)


class Child:
    @staticmethod
    def run(value, array, raw, lock, taken_out, standards):
        with lock:
            value.value += 1
        array[0] = 5
        assert array.get_lock() is lock
        raw.x = 3
        taken_out[1] = 6
        standards.value = 7


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_they_get_into_a_process_that_is_started_afresh(method):
    ctx = slipring_context.BaseContext().get_context(method)
    lock = RLock()
    value, array, raw = Value("i", 1, lock=lock), Array("d", 2, lock=lock), RawValue(Point)
    taken_out, standards = Array("i", 2).get_obj(), multiprocessing.get_context(method).RawValue("i")
    process = ctx.Process(target=Child.run, args=(value, array, raw, lock, taken_out, standards))
    process.start()
    process.join(60)
    assert process.exitcode == 0
    assert (value.value, array[0], raw.x, taken_out[1], standards.value) == (2, 5, 3, 6, 7)


def test_a_name_is_one_object_in_all_programs():
    name = f"test-{uuid.uuid4().hex}"
    array = RawArray("i", 3, name=name)
    run(lambda: RawArray("i", 3, name=name).__setitem__(1, 7))
    assert array[1] == 7
    again = pickle.loads(multiprocessing.reduction.ForkingPickler.dumps(array))
    again[2] = 8
    assert array[:] == [0, 7, 8]
    for wrong in [("q", 3), ("i", 4)]:
        with pytest.raises(TypeError, match="another type or number"):
            RawArray(*wrong, name=name)
    value = RawValue("d", 2.5, name=name + ".value")
    assert RawValue("d", name=name + ".value").value == value.value == 2.5


def test_the_module_has_the_standard_modules_names():
    assert set(standard.__all__) == set(sharedctypes.__all__)
    assert sharedctypes.typecode_to_type == standard.typecode_to_type
