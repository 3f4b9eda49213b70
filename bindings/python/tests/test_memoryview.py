"""memoryviews as messages: multiprocessing cannot send them at all."""

import multiprocessing

import pytest
import slipring

numpy = pytest.importorskip("numpy")

VIEWS = {
    "short": lambda: memoryview(b"abc"),
    "empty": lambda: memoryview(b""),
    "long": lambda: memoryview(bytearray(range(256)) * 1000),
    "of numbers": lambda: memoryview(numpy.arange(100_000, dtype="f8")),
    "of two dimensions": lambda: memoryview(numpy.arange(12, dtype="i4").reshape(3, 4)),
    "every other row": lambda: memoryview(numpy.arange(12, dtype="i8").reshape(3, 4))[::2],
    "columns first": lambda: memoryview(numpy.asfortranarray(numpy.arange(12.0).reshape(3, 4))),
}


@pytest.mark.parametrize("name", VIEWS)
@pytest.mark.parametrize("readonly", (False, True))
def test_a_memoryview_comes_out_as_it_went_in(name, readonly):
    view = VIEWS[name]()
    if readonly:
        view = view.toreadonly()
    queue = slipring.Queue()
    queue.put({"view": view})
    got = queue.get()["view"]
    assert type(got) is memoryview
    assert (got.format, got.shape, got.readonly) == (view.format, view.shape, view.readonly)
    assert got.tolist() == view.tolist()


def test_it_goes_through_a_pipe_too_and_one_view_stays_one():
    reader, writer = slipring.Pipe(duplex=False)
    view = VIEWS["long"]()
    writer.send([view, view])
    first, second = reader.recv()
    assert first is second and first == view


def test_what_is_done_to_it_is_not_seen_by_the_sender():
    queue = slipring.Queue()
    memory = bytearray(100_000)
    queue.put(memoryview(memory))
    queue.get()[0] = 7
    assert memory[0] == 0


def test_multiprocessing_refuses_it_still():
    reader, writer = multiprocessing.Pipe(duplex=False)
    with pytest.raises(TypeError):
        writer.send(memoryview(b"abc"))
    reader.close()
    writer.close()
