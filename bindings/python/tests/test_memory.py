"""The memory of long messages: it goes back to the machine by itself, and at once where that is asked for."""

import time

import pytest
import slipring
from slipring import _native
from slipring.queues import Empty

MIB = 1 << 20
# Its block is longer than the reserve that is kept.
LONG = 40 * MIB


def committed():
    return _native.segment_memory()[1]


def send(queue, count):
    message = bytes(LONG)
    for _ in range(count):
        queue.put(message)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_the_memory_of_a_burst_comes_back_within_a_second(method):
    ctx = slipring.get_context(method)
    queue = ctx.Queue(4)
    ctx.trim()
    before = committed()
    sender = ctx.Process(target=send, args=(queue, 8))
    sender.start()
    for _ in range(8):
        assert len(queue.get(timeout=60)) == LONG
    sender.join()
    assert committed() > before + LONG
    # Within a second, on a machine that has time for it.
    deadline = time.monotonic() + 20
    while committed() > before + 2 * MIB and time.monotonic() < deadline:
        with pytest.raises(Empty):
            queue.get(timeout=1)
    assert committed() < before + 2 * MIB


def test_who_never_waits_gives_it_back_with_a_call_after_a_second():
    queue = slipring.Queue(4)
    slipring.trim()
    before = committed()
    send(queue, 2)
    assert len(queue.get()) == len(queue.get()) == LONG
    time.sleep(1)
    with pytest.raises(Empty):
        queue.get_nowait()
    deadline = time.monotonic() + 30
    while committed() > before + 2 * MIB and time.monotonic() < deadline:
        with pytest.raises(Empty):
            queue.get_nowait()
    assert committed() < before + 2 * MIB


def test_trim_gives_the_reserve_back_too():
    queue = slipring.Queue()
    queue.put(bytes(MIB))
    assert len(queue.get()) == MIB
    before = committed()
    given = slipring.trim()
    assert given >= MIB and committed() == before - given
    assert slipring.get_context("spawn").trim() == 0


def test_what_nobody_received_stays():
    queue = slipring.Queue()
    queue.put(b"x" * LONG)
    slipring.trim()
    time.sleep(1)
    with pytest.raises(Empty):
        slipring.Queue().get(timeout=0.1)
    assert queue.get() == b"x" * LONG
