"""Arrays in queues: on the blocks that they came in, and loaned."""

import gc
import threading
import time

import pytest
from forks import forking
from slipring import _native
from slipring.queues import Full, JoinableQueue, Queue

numpy = pytest.importorskip("numpy")


def committed():
    return _native.segment_memory()[1]


@pytest.mark.parametrize("kind", [Queue, JoinableQueue])
@pytest.mark.parametrize("count", [10, 5000, 300_000])
def test_arrays_arrive_whole_and_can_be_written(kind, count):
    q = kind()
    source = numpy.arange(count, dtype="f8")
    q.put(source)
    source[:] = 0
    got = q.get()
    assert (got == numpy.arange(count)).all() and got.flags.writeable and got.flags.aligned
    got[:] = 7
    source.flags.writeable = False
    q.put({"a": source, "b": source[: count // 2]})
    both = q.get()
    assert both["a"].flags.writeable and len(both["b"]) == count // 2
    assert (got == 7).all() and (both["a"] == 0).all()
    both["a"][:] = 1
    assert (source == 0).all()


def test_a_long_array_lies_on_its_block_and_keeps_it():
    q = Queue()
    q.put([numpy.full(200_000, 1.0), numpy.full(100_000, 2.0)])
    first, second = q.get()
    assert type(first.base.base).__name__ == "Part"
    del first
    # What would overwrite the block, were it free.
    for _ in range(20):
        q.put([numpy.full(200_000, 3.0), numpy.full(100_000, 4.0)])
        q.get()
    part = second[10:20]
    del second
    gc.collect()
    assert (part == 2.0).all()


def test_blocks_are_given_back_with_the_last_that_lies_on_them():
    q = Queue()
    array = numpy.zeros(1 << 20)
    q.put(array)
    q.get()
    before = committed()
    for _ in range(50):
        q.put(array)
        q.get()
    assert committed() <= before + (16 << 20)


def test_a_received_array_is_private_to_its_receiver():
    q, back = Queue(), Queue()
    array = numpy.zeros(100_000)
    q.put(array)
    q.put(array)

    def work():
        mine = q.get()
        mine[:] = 5
        back.put(float(mine.sum()))

    with forking(work):
        assert back.get() == 500_000.0
    assert q.get().sum() == 0 and array.sum() == 0


@pytest.mark.parametrize("count", [1000, 20_000, 1_000_000])
def test_a_forked_child_has_its_parents_arrays_as_they_were_at_the_fork(count):
    q, go, told = Queue(), Queue(), Queue()
    q.put([numpy.full(count, 1.0), numpy.full(count, 2.0)])
    arrays = q.get()
    first = arrays[0]
    first[:] = 3
    address = first.ctypes.data

    def work():
        go.get()
        assert (first == 3).all() and (arrays[1] == 2).all() and first.ctypes.data == address
        first[:] = 4
        told.put(None)

    with forking(work):
        # The parent goes on with its own, and gets other things into the same blocks.
        arrays.pop()[:] = 5
        for _ in range(5):
            q.put([numpy.full(count, 7.0), numpy.full(count, 8.0)])
            q.get()
        go.put(None)
        told.get()
        assert (first == 3).all()


def test_other_threads_may_write_to_an_array_while_one_forks():
    q = Queue()
    counts = []
    for _ in range(5):
        q.put(numpy.zeros(2_000_000))
        array, stop = q.get(), threading.Event()

        def write(array=array, stop=stop):
            rounds = 0
            while not stop.is_set():
                numpy.add(array, 1, out=array)
                rounds += 1
            counts.append(rounds)

        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(0.02)
        with forking(lambda: None):
            pass
        stop.set()
        thread.join()
        assert (array == counts[-1]).all()


def test_a_loaned_array_is_sent_without_a_copy():
    q = Queue()
    array = q.loan_array((1000, 100), "i4")
    assert array.flags.writeable and array.flags.c_contiguous and array.dtype == "i4"
    array[...] = 9
    q.put(array)
    assert not array.flags.writeable
    got = q.get()
    assert (got == 9).all() and got.shape == (1000, 100)
    got[...] = 1
    assert (array == 1).all(), "it is the same memory"
    # The second time it is an array like any other.
    q.put(array)
    assert (q.get() == 1).all()


@pytest.mark.parametrize("shape", [3, (), (0,), (2, 3)])
def test_small_loans_are_sent_too(shape):
    q = Queue()
    array = q.loan_array(shape)
    array[...] = 2
    q.put(array)
    got = q.get()
    assert got.shape == array.shape and (got == 2).all()


def test_only_the_whole_loan_is_handed_over():
    q = Queue()
    array = q.loan_array(100_000)
    array[:] = 1
    q.put(array[:50_000])
    q.put([array])
    assert array.flags.writeable
    array[:] = 2
    assert (q.get() == 1).all() and (q.get()[0] == 1).all()


def test_a_loan_that_finds_no_room_stays_the_senders():
    q = Queue(maxsize=1)
    q.put(0)
    array = q.loan_array(100_000)
    array[:] = 3
    for _ in range(3):
        with pytest.raises(Full):
            q.put(array, timeout=0.15)
    assert array.flags.writeable
    assert q.get() == 0
    q.put(array)
    assert (q.get() == 3).all()


def test_loans_that_are_never_sent_are_given_back():
    q = Queue()
    array = q.loan_array(1 << 20)
    del array
    before = committed()
    for _ in range(50):
        q.loan_array(1 << 20)
    assert committed() <= before + (16 << 20)


def test_a_forked_child_copies_its_parents_loan():
    q = Queue()
    array = q.loan_array(100_000)
    array[:] = 4
    with forking(lambda: q.put(array)):
        assert (q.get() == 4).all()
    assert array.flags.writeable
    q.put(array)
    assert (q.get() == 4).all()


def test_objects_cannot_be_loaned():
    with pytest.raises(TypeError):
        Queue().loan_array(10, object)
