"""Value, Array, RawValue, RawArray."""

import ctypes
import gc
import pickle
from multiprocessing.reduction import ForkingPickler

import children
import pytest
from children import Point
from helpers import SOON, Worker, differs

METHODS = pytest.mark.methods("fork", "spawn")
CODES = [
    ("c", b"x", ctypes.c_char),
    ("b", -5, ctypes.c_byte),
    ("B", 200, ctypes.c_ubyte),
    ("h", -3000, ctypes.c_short),
    ("H", 60000, ctypes.c_ushort),
    ("i", -(2**31), ctypes.c_int),
    ("I", 2**32 - 1, ctypes.c_uint),
    ("l", -(2**40), ctypes.c_long),
    ("L", 2**63, ctypes.c_ulong),
    ("q", -(2**63), ctypes.c_longlong),
    ("Q", 2**64 - 1, ctypes.c_ulonglong),
    ("f", 0.5, ctypes.c_float),
    ("d", 1e300, ctypes.c_double),
    ("u", "ü", ctypes.c_wchar),
]


# Value


@METHODS
@pytest.mark.parametrize("factory", ("Value", "RawValue"))
def test_a_value_of_each_type_is_seen_by_another_process(mp, factory):
    values = {code: getattr(mp, factory)(code) for code, _, _ in CODES}
    typed = {f"{code}_": getattr(mp, factory)(kind) for code, _, kind in CODES}
    peer = mp.peer(**values, **typed)
    for code, value, _ in CODES:
        for name, ours in ((code, values[code]), (code + "_", typed[code + "_"])):
            assert ours.value in (0, b"\0", "\0")
            peer.write(f"{name}.value", value)
            assert ours.value == value
            assert peer.read(f"{name}.value") == value


@pytest.mark.parametrize("factory", ("Value", "RawValue"))
def test_a_value_starts_as_it_is_told(mp, factory):
    make = getattr(mp, factory)
    assert make("i").value == 0
    assert make("i", 7).value == 7
    assert make("d", 2.5).value == 2.5
    assert make(ctypes.c_longlong, 2**40).value == 2**40
    with pytest.raises(TypeError):
        make("i", "seven")
    with pytest.raises((TypeError, AttributeError)):
        make("no such type")


def test_a_value_has_a_lock_of_its_own(mp):
    for value in (mp.Value("i", 3), mp.Value("i", 3, lock=True), mp.Value("i", 3, lock=None)):
        lock, inside = value.get_lock(), value.get_obj()
        assert type(lock) is type(mp.RLock())
        assert isinstance(inside, ctypes.c_int)
        assert inside.value == 3
        inside.value = 4
        assert value.value == 4
        with value:
            assert Worker(lock.acquire, False).result() is False
            value.value += 1
        assert value.acquire(False) is True
        value.release()
        assert value.value == 5


@pytest.mark.parametrize("kind", ("Lock", "RLock"))
def test_a_value_uses_the_lock_it_is_given(mp, kind):
    lock = getattr(mp, kind)()
    value = mp.Value("i", 5, lock=lock)
    assert value.get_lock() is lock
    with value.get_lock():
        assert Worker(lock.acquire, False).result() is False


@pytest.mark.parametrize("make", ("Value", "Array"))
def test_without_a_lock_it_is_raw(mp, make):
    raw = getattr(mp, make)("i", 5, lock=False)
    for name in ("get_lock", "get_obj", "acquire"):
        assert not hasattr(raw, name)
    assert isinstance(raw, (ctypes.c_int, ctypes.Array))


@pytest.mark.parametrize("make", ("Value", "Array"))
def test_a_lock_that_is_none_is_an_attribute_error(mp, make):
    for wrong in ("no lock", 2, object()):
        with pytest.raises(AttributeError, match="has no method 'acquire'"):
            getattr(mp, make)("i", 5, lock=wrong)


@pytest.mark.methods("fork", "spawn", "forkserver")
def test_increments_under_the_values_lock_are_all_counted(mp):
    value = mp.Value("l", 0)
    processes = [mp.start(children.increment, value.get_lock(), value, 500) for _ in range(2)]
    processes.append(mp.start(children.increment_itself, value, 500))
    for process in processes:
        process.join(SOON)
        assert process.exitcode == 0
    assert value.value == 1500


# Array


@pytest.mark.parametrize("factory", ("Array", "RawArray"))
def test_an_array_of_a_size_is_all_zero(mp, factory):
    make = getattr(mp, factory)
    for _ in range(3):
        # Memory that was used before, too.
        array = make("i", 1000)
        assert len(array) == 1000
        assert list(array) == [0] * 1000
        array[:] = range(1, 1001)
        del array
        gc.collect()
    assert list(make(ctypes.c_double, 2)) == [0.0, 0.0]
    assert list(make("i", 0)) == []
    with pytest.raises(ValueError):
        make("i", -1)


@pytest.mark.parametrize("factory", ("Array", "RawArray"))
def test_an_array_is_indexed_and_sliced(mp, factory):
    array = getattr(mp, factory)("i", range(10))
    assert len(array) == 10
    assert array[3] == 3
    assert array[-1] == 9
    assert array[2:5] == [2, 3, 4]
    assert array[::3] == [0, 3, 6, 9]
    array[4] = 40
    array[6:8] = [60, 70]
    assert list(array) == [0, 1, 2, 3, 40, 5, 60, 70, 8, 9]
    assert 40 in list(array)
    for wrong in (10, -11):
        with pytest.raises(IndexError):
            array[wrong]
        with pytest.raises(IndexError):
            array[wrong] = 0
    with pytest.raises(ValueError):
        array[2:5] = [1, 2]
    with pytest.raises(TypeError):
        array[0] = "zero"


@METHODS
@pytest.mark.parametrize("factory", ("Array", "RawArray"))
def test_an_array_is_seen_by_another_process(mp, factory):
    array = getattr(mp, factory)("d", [1.0, 2.0, 3.0])
    peer = mp.peer(array=array)
    peer.array.__setitem__(1, 20.0)
    assert list(array) == [1.0, 20.0, 3.0]
    array[0:2] = [5.0, 6.0]
    assert peer.array.__getitem__(slice(0, 3)) == [5.0, 6.0, 3.0]
    assert peer.array.__len__() == 3


def test_an_array_of_characters_is_a_string(mp):
    array = mp.Array("c", b"hello")
    assert array.value == b"hello"
    assert array.raw == b"hello"
    array.value = b"hi"
    assert array.value == b"hi"
    assert array.raw == b"hi\0lo"
    assert len(array) == 5
    assert array[0] == b"h"
    array.raw = b"12345"
    assert array.value == b"12345"
    with pytest.raises(ValueError):
        array.value = b"far too long"
    raw = mp.RawArray("c", 4)
    raw.value = b"ab"
    assert raw.raw == b"ab\0\0"


def test_an_array_has_a_lock(mp):
    array = mp.Array("i", [1, 2])
    assert type(array.get_lock()) is type(mp.RLock())
    assert list(array.get_obj()) == [1, 2]
    with array:
        assert Worker(array.acquire, False).result() is False
    lock = mp.Lock()
    assert mp.Array("i", 3, lock=lock).get_lock() is lock
    with pytest.raises(TypeError):
        mp.Array("i", 3, lock)


# Structures


@METHODS
def test_structures_are_shared(mp):
    point, points = mp.Value(Point, 1, 2.5), mp.Array(Point, [(1, 0.5), (2, 1.5)])
    raw = mp.RawValue(Point, 9)
    assert (point.x, point.y) == (1, 2.5)
    assert (raw.x, raw.y) == (9, 0.0)
    peer = mp.peer(point=point, points=points, raw=raw)
    peer.write("point.x", 10)
    peer.write("raw.y", -1.0)
    assert (point.x, point.y) == (10, 2.5)
    assert raw.y == -1.0
    with point.get_lock():
        point.get_obj().y = 7.0
    assert peer.read("point.y") == 7.0
    points[1].x = 20
    assert [(p.x, p.y) for p in points] == [(1, 0.5), (20, 1.5)]
    assert not hasattr(point, "z")


def test_arrays_of_arrays_are_shared(mp):
    table = mp.RawArray(ctypes.c_int * 3, 2)
    process = mp.start(children.set_last, table)
    process.join(SOON)
    assert [list(row) for row in table] == [[0, 0, 0], [0, 0, 5]]


# Memory


@pytest.mark.parametrize("make", ("Value", "Array", "RawValue", "RawArray"))
def test_it_is_pickled_for_a_process_being_started_only(mp, make):
    shared = getattr(mp, make)("i", 4)
    with pytest.raises(RuntimeError, match="should only be shared between processes"):
        ForkingPickler.dumps(shared)
    if make in ("Value", "Array"):
        with pytest.raises(RuntimeError, match="should only be shared between processes"):
            pickle.dumps(shared)


@METHODS
def test_it_lives_as_long_as_any_process_has_it(mp):
    array = mp.Array("i", range(1000))
    peer = mp.peer(array=array)
    del array
    gc.collect()
    others = [mp.Array("i", [-1] * 1000) for _ in range(20)]
    seen = peer.array.__getitem__(slice(None))
    if differs(mp, "memory that another process still has is not used again"):
        assert seen == list(range(1000))
    assert all(other[0] == -1 for other in others)


@METHODS
def test_a_child_hands_it_to_its_own_child(mp):
    value, raw = mp.Value("i", 1), mp.RawArray("d", 3)
    done = mp.Event()
    mp.start(children.hand_on, mp.name, mp.method, 2, children.fill, value, raw, done)
    assert done.wait(SOON)
    assert value.value == 42
    assert list(raw) == [1.0, 2.0, 3.0]


@METHODS
def test_large_arrays_are_shared(mp):
    array = mp.RawArray("b", 32 << 20)
    peer = mp.peer(array=array)
    peer.array.__setitem__(-1, 7)
    peer.array.__setitem__(12345678, 8)
    assert (array[-1], array[12345678], array[0]) == (7, 8, 0)


@METHODS
def test_numpy_sees_the_same_memory(mp):
    numpy = pytest.importorskip("numpy")
    array = mp.RawArray("d", 1000)
    peer = mp.peer(array=array)
    view = numpy.frombuffer(array)
    view[:] = numpy.arange(1000)
    assert peer.array.__getitem__(slice(997, 1000)) == [997.0, 998.0, 999.0]
    peer.array.__setitem__(0, -1.0)
    assert view[0] == -1.0


def test_a_copy_is_on_its_own(mp):
    original = mp.RawValue(Point, 1, 2.0)
    copy = mp.submodule("sharedctypes").copy(original)
    original.x = 5
    assert (copy.x, copy.y) == (1, 2.0)
