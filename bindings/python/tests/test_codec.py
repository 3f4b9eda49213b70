"""What objects look like as messages, and what becomes of messages that are none."""

import copyreg
import ctypes
import math
import multiprocessing.reduction
import pickle
import random
import struct

import pytest
from slipring._native import decode_message, encode_message

numpy = pytest.importorskip("numpy")


def again(obj):
    return decode_message(encode_message(obj))


def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, float):
        return struct.pack("d", a) == struct.pack("d", b)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a), list(b)) and same(list(a.values()), list(b.values()))
    return a == b


EDGES = [0, 1, -1, *(s * 2**n + d for n in range(6, 70) for s in (1, -1) for d in (-1, 0, 1))]


@pytest.mark.parametrize("value", [None, True, False, "", b"", bytearray(), (), [], {}])
def test_small_things_come_out_as_they_went_in(value):
    assert same(again(value), value)


def test_every_size_of_int_comes_out_as_it_went_in():
    for value in EDGES + [2**200, -(2**200)]:
        assert same(again(value), value), value


def test_ints_of_48_bits_and_simple_floats_take_seven_bytes_at_most():
    for value in [0, 1, -1, 2**47 - 1, -(2**47), 0.0, 1.5, -2.0, 1e6, math.inf, True, None, "abcdef"]:
        assert len(encode_message(value)) <= 7, value
    assert len(encode_message(2**47)) == 8


def test_every_float_keeps_its_bits():
    values = [0.0, -0.0, math.inf, -math.inf, math.nan, 5e-324, 0.1, 1e300, 1 / 3]
    values += [struct.unpack("d", random.randbytes(8))[0] for _ in range(1000)]
    for value in values:
        got = again(value)
        # A signalling NaN becomes a quiet one in some processors' registers.
        assert same(got, value) or (math.isnan(got) and math.isnan(value))


@pytest.mark.parametrize("length", [0, 1, 6, 62, 63, 64, 65, 4096, 65536, 65537, 1_000_003])
def test_text_and_bytes_of_any_length(length):
    for value in ["x" * length, "é" * length, b"\x80" * length, bytearray(b"z") * length]:
        assert same(again(value), value)


def test_half_a_surrogate_pair_is_text_too():
    assert again("a\ud800b") == "a\ud800b"


class Point:
    def __init__(self, x):
        self.x = x

    def __eq__(self, other):
        return self.x == other.x


class Sub(int):
    pass


def test_subclasses_keep_their_class():
    for value in [Sub(7), Point(3), Point([Point(1)])]:
        assert type(again(value)) is type(value) and again(value) == value


def random_object(rng, depth=0):
    kind = rng.randrange(12 if depth < 4 else 8)
    if kind == 0:
        return rng.choice([None, True, False])
    if kind in (1, 2):
        return rng.randrange(-(2 ** rng.randrange(1, 80)), 2 ** rng.randrange(1, 80))
    if kind == 3:
        return rng.uniform(-1e9, 1e9)
    if kind in (4, 5):
        return "".join(rng.choice("aé漢😀") for _ in range(rng.randrange(200)))
    if kind == 6:
        return rng.randbytes(rng.randrange(300))
    if kind == 7:
        return bytearray(rng.randbytes(rng.randrange(300)))
    size = rng.randrange(6)
    if kind == 8:
        return [random_object(rng, depth + 1) for _ in range(size)]
    if kind == 9:
        return tuple(random_object(rng, depth + 1) for _ in range(size))
    if kind == 10:
        return {rng.randrange(1000): random_object(rng, depth + 1) for _ in range(size)}
    return Point(rng.random())


def test_random_objects_come_out_as_they_went_in():
    rng = random.Random(7)
    for _ in range(2000):
        value = random_object(rng)
        assert same(again(value), value)


def test_an_object_that_is_seen_twice_is_one_object_again():
    inner = [1]
    a, b = again([inner, inner])
    assert a is b
    # The pickler is used again: it must not remember the last object.
    assert again([inner, [2]]) == [[1], [2]]


@pytest.mark.parametrize("shape", [(0,), (3,), (100, 100), (300, 200)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_keep_shape_and_order_and_can_be_written(shape, order):
    for writeable in (True, False):
        array = numpy.asarray(numpy.random.rand(*shape), order=order)
        array.flags.writeable = writeable
        got = again(array)
        assert (got == array).all() and got.shape == shape and got.dtype == array.dtype
        # As with multiprocessing: it is the receiver's own copy, whatever the sender's was.
        assert got.flags.writeable
        assert got.flags.f_contiguous == array.flags.f_contiguous
        if got.size:
            got[...] = 1
            assert (got == 1).all()


def test_arrays_of_other_kinds():
    for array in [
        numpy.array([1, "a", None], dtype=object),
        numpy.array(["2020-01-01"], dtype="datetime64[D]"),
        numpy.arange(1000)[::3],
        numpy.zeros(50_000, dtype=[("a", "i4"), ("b", "f8")]),
        numpy.float32(1.5),
    ]:
        got = again(array)
        assert (got == array).all() and got.dtype == array.dtype


def test_buffers_are_aligned():
    arrays = [numpy.full(n, n % 200, dtype="u1") for n in (1, 1000, 100_001, 200_000)]
    got = again(arrays)
    assert all((a == b).all() for a, b in zip(got, arrays, strict=True))
    start = min(a.ctypes.data for a in got)
    assert all((a.ctypes.data - start) % 64 == 0 for a in got)


SIZES = (0, 3, 1000, 70_000, 300_000)


@pytest.mark.parametrize("size", SIZES)
def test_pickle_buffers_come_out_as_from_a_pickle(size):
    for source in (b"x" * size, bytearray(b"x" * size), numpy.zeros(size, "u1"), memoryview(b"x" * size)):
        for buffer in (pickle.PickleBuffer(source), [pickle.PickleBuffer(source), numpy.arange(size)]):
            got, expected = again(buffer), pickle.loads(pickle.dumps(buffer, 5))
            if isinstance(buffer, list):
                got, expected = got[0], expected[0]
            assert type(got) is type(expected) and got == expected


class ZeroCopyArray(bytearray):
    """As the documentation of pickle has it."""

    def __reduce_ex__(self, protocol):
        return type(self)._reconstruct, (pickle.PickleBuffer(self),), None

    @classmethod
    def _reconstruct(cls, obj):
        with memoryview(obj) as m:
            obj = m.obj
            return obj if type(obj) is cls else cls(obj)


class Packet:
    """Wants what it was made of: its constructor gets no view in its place."""

    def __init__(self, data):
        self.data = data

    def __reduce_ex__(self, protocol):
        return type(self), (pickle.PickleBuffer(self.data),)


@pytest.mark.parametrize("size", SIZES)
def test_a_class_of_the_users_own_gets_bytes_or_a_bytearray(size):
    got = again([ZeroCopyArray(b"a" * size), numpy.arange(10_000)])[0]
    assert type(got) is ZeroCopyArray and got == b"a" * size
    got.append(1)
    for data in (b"b" * size, bytearray(b"b" * size)):
        got = again(Packet(data)).data
        assert type(got) is type(data) and got == data
    # Also where the memory is an array's.
    array = numpy.zeros(size, "u1")
    array.flags.writeable = False
    assert again(Packet(array)).data == bytes(size)


@pytest.mark.parametrize("size", SIZES)
def test_what_an_array_or_a_view_lies_on_is_as_long_as_it(size):
    for source in (numpy.zeros(size, "u1"), memoryview(bytes(size))):
        got = memoryview(again([source, b"x" * 100_000])[0])
        base = got.obj
        while isinstance(base, numpy.ndarray) and base.base is not None:
            base = base.base
        base = base.obj if isinstance(base, memoryview) else base
        assert len(memoryview(base)) == size


def test_a_reducer_that_is_registered_for_arrays_is_used():
    copyreg.pickle(numpy.ndarray, lambda array: (list, (array.tolist(),)))
    try:
        assert again(numpy.arange(3)) == [0, 1, 2]
    finally:
        del copyreg.dispatch_table[numpy.ndarray]
    assert type(again(numpy.arange(3))) is numpy.ndarray


def test_subclasses_of_arrays_keep_their_class():
    got = again(numpy.arange(30_000.0).view(numpy.recarray))
    assert type(got) is numpy.recarray and got.flags.writeable and got.sum() == 30_000 * 29_999 / 2


def test_what_lies_on_a_message_keeps_it():
    part = again([numpy.arange(100_000), numpy.arange(50_000)])[1]
    others = [again(numpy.zeros(100_000)) for _ in range(10)]
    assert (part == numpy.arange(50_000)).all() and len(others) == 10


def test_an_array_that_is_not_contiguous_in_a_pickle_buffer_is_refused():
    with pytest.raises((BufferError, pickle.PicklingError)):
        encode_message(pickle.PickleBuffer(numpy.arange(10)[::2]))


class Registered:
    pass


class RegisteredLater(Registered):
    pass


def reduce_one(obj):
    return str, ("one",)


def reduce_two(obj):
    return str, ("two",)


def test_reducers_count_whenever_they_are_registered():
    multiprocessing.reduction.register(Registered, reduce_one)
    assert again(Registered()) == "one"
    multiprocessing.reduction.register(RegisteredLater, reduce_two)
    assert again([RegisteredLater()]) == ["two"]
    # Another one for the same class.
    multiprocessing.reduction.ForkingPickler.register(Registered, reduce_two)
    assert again(Registered()) == "two"


class Copied:
    pass


def test_reducers_of_copyreg_count():
    copyreg.pickle(Copied, reduce_one)
    assert again(Copied()) == "one"


def test_methods_go_as_multiprocessing_sends_them():
    assert again("abc".upper)() == "ABC"
    assert again(Point(3).__eq__)(Point(3))


def test_ctypes_go_as_multiprocessing_sends_them():
    assert again(ctypes.c_int(5)).value == 5


class Nested:
    """Pickles something else while it is pickled."""

    def __reduce__(self):
        assert again([1, {"a": 2}]) == [1, {"a": 2}]
        return list, ((1, 2),)


def test_pickling_while_pickling():
    assert again([Nested(), Nested()]) == [[1, 2], [1, 2]]


class Refuses:
    def __reduce__(self):
        raise ZeroDivisionError


def test_what_cannot_be_pickled_raises_and_leaves_nothing_behind():
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            encode_message([1, 2, Refuses()])
        with pytest.raises((pickle.PicklingError, AttributeError)):
            encode_message(lambda: 0)
        assert again([1, 2]) == [1, 2]


def test_a_plain_pickle_is_a_message():
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        assert decode_message(pickle.dumps({"a": [1.5]}, protocol)) == {"a": [1.5]}


SAMPLES = [
    12345,
    1.1,
    "text",
    b"bytes",
    bytearray(b"array"),
    {"a": 1, "b": [1, 2, 3]},
    [numpy.arange(10), b"x"],
    [numpy.arange(20_000), bytearray(100_000)],
]


def outcome(message):
    """Decodes; any exception is fine, and what is a result must be whole."""
    try:
        repr(decode_message(message))
    except Exception:
        return False
    return True


def test_what_is_cut_off_raises():
    for sample in SAMPLES:
        message = encode_message(sample)
        assert outcome(message)
        for cut in {0, 1, 2, 5, 8, 15, 16, 20, 24, 31, 40, 100, len(message) // 2, len(message) - 1}:
            outcome(message[:cut])
    with pytest.raises(pickle.UnpicklingError):
        decode_message(b"")


def test_lengths_that_lie_raise():
    message = bytearray(encode_message([numpy.arange(20_000), numpy.arange(3)]))
    assert message[0] == 9
    for at, form in [(4, "<I"), (8, "<Q"), (16, "<Q"), (24, "<Q")]:
        for value in (2**31, 2**32 - 1, 2**62, 2**63 - 1, 2**64 - 1, len(message) + 1):
            lying = bytearray(message)
            struct.pack_into(form, lying, at, value % 2 ** (8 * struct.calcsize(form)))
            assert not outcome(bytes(lying))


def test_garbage_raises_or_is_something():
    rng = random.Random(11)
    for first in range(256):
        if first == 0x80:
            continue  # A pickle can do anything.
        for length in (0, 1, 7, 8, 9, 40, 70_000):
            outcome(bytes([first]) + rng.randbytes(length))
    for tag in (1, 2, 3):
        with pytest.raises(pickle.UnpicklingError):
            decode_message(bytes([tag, 0]))
