"""The descriptor of an end that sends: writable while there is room."""

import asyncio
import random
import select

import children
import pytest
from helpers import eventually

METHODS = pytest.mark.methods("fork", "spawn", "forkserver")


def is_writable(what, timeout=0):
    poll = select.poll()
    poll.register(what, select.POLLOUT)
    return any(events & select.POLLOUT for _, events in poll.poll(timeout))


def fill(end, message=bytes(500)):
    """Sends while it is said that nothing has to wait; how often."""
    sent = 0
    while is_writable(end):
        end.send(message)
        sent += 1
    return sent


@pytest.fixture(params=["duplex", "one-way"])
def ends(mp, request):
    """(receiver, sender)."""
    return mp.Pipe(request.param == "duplex")


def test_a_pipe_is_writable_until_it_is_full_and_again_when_it_was_emptied(ends):
    reader, writer = ends
    for _ in range(3):
        sent = fill(writer)
        assert sent > 10
        assert children.is_readable(reader)
        for _ in range(sent):
            assert len(reader.recv()) == 500
        assert is_writable(writer, 5000)
        assert not children.is_readable(reader) and not reader.poll(0)


def test_select_and_an_event_loop_say_so_too(ends):
    reader, writer = ends
    assert select.select([], [writer], [], 0)[1] == [writer]

    async def wait_for_room(end):
        loop, room = asyncio.get_running_loop(), asyncio.Event()
        loop.add_writer(end.fileno(), room.set)
        try:
            await asyncio.wait_for(room.wait(), 0.2)
        except TimeoutError:
            return False
        finally:
            loop.remove_writer(end.fileno())
        return True

    assert asyncio.run(wait_for_room(writer))
    sent = fill(writer)
    assert select.select([], [writer], [], 0)[1] == []
    assert not asyncio.run(wait_for_room(writer))
    for _ in range(sent):
        reader.recv()
    assert asyncio.run(wait_for_room(writer))


def test_an_end_that_only_receives_is_never_writable(mp):
    reader, writer = mp.Pipe(False)
    assert not is_writable(reader)
    writer.send(1)
    assert not is_writable(reader)


@METHODS
def test_a_reader_in_another_process_makes_room(mp):
    ours, theirs = mp.Pipe()
    peer = mp.peer(conn=theirs)
    for round in range(3):
        sent = fill(ours)
        if round:
            # Asleep in `recv` when the first message comes, or not.
            assert peer.call("readable", "conn")
        for _ in range(sent):
            peer.conn.recv()
        assert is_writable(ours, 5000)
        assert not peer.call("readable", "conn")
        peer.conn.send("back")
        assert ours.recv() == "back" and not children.is_readable(ours)


@METHODS
def test_two_event_loops_send_to_each_other_all_they_can_and_nobody_waits_for_ever(mp):
    ours, theirs = mp.Pipe()
    process = mp.start(children.exchange, theirs, 2000)
    theirs.close()
    assert children.exchange(ours, 2000) == sum(range(2000))
    process.join()
    assert process.exitcode == 0


@pytest.mark.only("slipring")
@pytest.mark.parametrize("seed", range(3))
def test_at_every_time_a_send_does_not_wait_when_it_is_writable(mp, seed):
    rng = random.Random(seed)
    reader, writer = mp.Pipe(seed % 2 == 0)
    is_writable(writer)
    waiting = 0
    for _ in range(3000):
        if rng.random() < (0.7 if rng.random() < 0.5 else 0.3):
            if is_writable(writer):
                assert writer._try_send(bytes(rng.choice((1, 500, 3000, 100_000)))), waiting
                waiting += 1
        elif waiting:
            reader.recv()
            waiting -= 1
        assert children.is_readable(reader) == (waiting > 0)
        assert waiting or is_writable(writer)


@pytest.mark.only("slipring")
def test_the_descriptor_is_the_same_in_threads_and_in_a_forked_child(mp):
    ours, theirs = mp.Pipe()
    peer = mp.peer(conn=theirs)
    assert peer.conn.fileno() == theirs.fileno()
    theirs.close()
    peer.kill()
    eventually(lambda: children.is_readable(ours))
