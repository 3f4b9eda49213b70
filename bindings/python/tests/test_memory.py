"""The memory of long messages: it goes back to the machine by itself, and at once where that is asked for."""

import resource
import threading
import time

import children
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


# Address space


def limited(queue, conn, spare):
    """Gives itself so much address space beside what it has, and works."""
    limit = children.address_space() + spare
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    try:
        for size in (10, 1000, 60_000, 900_000):
            for _ in range(20):
                queue.put(bytes(size))
                assert len(queue.get()) == size
                conn.send(bytes(size))
                assert len(conn.recv()) == size
        if spare > 100 << 20:
            thread = threading.Thread(target=bytearray, args=(50 << 20,))
            thread.start()
            thread.join()
            queue.put(bytes(20 << 20))
            assert len(queue.get()) == 20 << 20
        conn.send("done")
    except BaseException as error:
        conn.send(f"{type(error).__name__}: {error}")


def echo_until_text(conn):
    while not isinstance(message := conn.recv(), str):
        conn.send(message)
    return message


@pytest.mark.only("slipring")
@pytest.mark.methods("fork", "spawn", "forkserver")
@pytest.mark.parametrize("spare", [16 << 20, 1 << 30])
def test_a_child_that_limits_its_address_space_works_on(mp, spare):
    queue = mp.Queue()
    ours, theirs = mp.Pipe()
    mp.start(limited, queue, theirs, spare)
    assert echo_until_text(ours) == "done"


@pytest.mark.only("slipring")
def test_objects_take_little_address_space(mp):
    before = children.address_space()
    objects = [mp.Queue() for _ in range(10)] + [mp.Lock() for _ in range(100)]
    objects[0].put(bytes(1 << 20))
    assert children.address_space() - before < 1 << 30
    objects[0].get()


@pytest.mark.only("slipring")
def test_a_child_sees_what_its_parent_put_into_new_memory_after_the_fork(mp):
    queue = mp.Queue()
    peer = mp.peer(queue=queue)
    for size in (100, 5000, 70_000, 3 << 20, 200 << 20):
        queue.put(bytes(size))
        assert (
            peer.call("queue.get", timeout=20) == bytes(size) if size < 1 << 20 else len(peer.call("queue.get")) == size
        )
    sizes = [100, 3000, 50_000] * 2000
    for size in sizes:
        queue.put(bytes(size))
    assert peer.call("queue.qsize") == len(sizes)
    peer.kill()
    assert [len(queue.get()) for _ in sizes] == sizes
