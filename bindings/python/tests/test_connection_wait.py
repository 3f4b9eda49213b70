"""poll, connection.wait, and the file number of a Connection."""

import asyncio
import select
import selectors
import signal
import socket

import children
import pytest
from helpers import SOON, Worker, eventually, takes, until_asleep

METHODS = pytest.mark.methods("fork", "spawn")
MIB = 1 << 20


def test_poll_says_whether_a_message_is_there(mp):
    reader, writer = mp.Pipe(False)
    for args in ((), (0,), (0.0,), (-1,), (-0.5,)):
        with takes(0, 5):
            assert reader.poll(*args) is False
    with takes(0.1):
        assert reader.poll(0.1) is False
    writer.send_bytes(b"")
    for args in ((), (0,), (-1,), (SOON,), (None,)):
        assert reader.poll(*args) is True
    assert reader.recv_bytes() == b""
    assert reader.poll() is False


@METHODS
def test_poll_without_a_limit_waits_for_a_message(mp):
    reader, writer = mp.Pipe(False)
    peer = mp.peer(reader=reader)
    for timeout in (None, SOON):
        waiting = peer.blocked("reader.poll", timeout)
        writer.send("there")
        assert waiting.result() is True
        assert peer.reader.recv() == "there"
    assert peer.reader.poll(0.01) is False


def test_wait_gives_those_that_are_ready(mp):
    pipes = [mp.Pipe(False) for _ in range(4)]
    readers = [reader for reader, _ in pipes]
    with takes(0.1):
        assert mp.wait(readers, 0.1) == []
    for timeout in (0, -1):
        with takes(0, 5):
            assert mp.wait(readers, timeout) == []
    for chosen in (1, 3):
        pipes[chosen][1].send_bytes(b"")
    assert set(mp.wait(readers)) == {readers[1], readers[3]}
    # It says so as long as it is so.
    assert set(mp.wait(readers, 0)) == {readers[1], readers[3]}
    readers[1].recv_bytes()
    assert mp.wait(readers, 0) == [readers[3]]
    pipes[0][1].close()
    assert set(mp.wait(readers, 0)) == {readers[0], readers[3]}


def test_wait_takes_connections_sockets_numbers_and_sentinels(mp):
    reader, writer = mp.Pipe(False)
    one, other = socket.socketpair()
    with one, other:
        event = mp.Event()
        process = mp.start(children.wait_for, event)
        watched = [reader, one, process.sentinel]
        assert mp.wait(watched, 0) == []
        other.send(b"x")
        assert mp.wait(watched) == [one]
        writer.send("x")
        assert set(mp.wait(watched)) == {reader, one}
        assert mp.wait([reader.fileno()]) == [reader.fileno()]
        one.recv(1)
        reader.recv()
        event.set()
        assert mp.wait(watched) == [process.sentinel]
    assert mp.wait([], 0.01) == []


@METHODS
def test_wait_is_woken_by_a_message_from_another_process(mp):
    pipes = [mp.Pipe(False) for _ in range(3)]
    peer = mp.peer(writer=pipes[2][1])
    waiting = Worker(mp.wait, [reader for reader, _ in pipes], SOON).blocked()
    peer.writer.send("it")
    assert waiting.result() == [pipes[2][0]]


def test_its_file_number_is_readable_while_a_message_or_the_end_is_there(mp):
    reader, writer = mp.Pipe(False)

    def readable():
        return select.select([reader], [], [], 0)[0] == [reader]

    assert not readable()
    for _ in range(3):
        writer.send("one")
        writer.send("two")
        assert readable()
        reader.recv()
        assert readable()
        reader.recv()
        assert not readable()
    sending = Worker(writer.send_bytes, bytes(MIB))
    eventually(readable)
    assert reader.recv_bytes() == bytes(MIB)
    sending.result()
    assert not readable()
    writer.close()
    assert readable()


def test_a_selector_sees_each_message(mp):
    reader, writer = mp.Pipe(False)
    with selectors.DefaultSelector() as selector:
        selector.register(reader, selectors.EVENT_READ)
        waiting = Worker(selector.select, SOON).blocked()
        writer.send(1)
        [(key, _)] = waiting.result()
        assert key.fileobj is reader
        assert reader.recv() == 1
        assert selector.select(0) == []


def test_an_asyncio_loop_sees_each_message(mp):
    reader, writer = mp.Pipe(False)

    async def receive(number):
        loop = asyncio.get_running_loop()
        received = asyncio.Queue()
        loop.add_reader(reader.fileno(), lambda: received.put_nowait(reader.recv()))
        for item in range(number):
            loop.call_soon(writer.send, item)
        items = [await asyncio.wait_for(received.get(), SOON) for _ in range(number)]
        loop.remove_reader(reader.fileno())
        return items

    assert asyncio.run(receive(20)) == list(range(20))


def test_a_signal_handler_does_not_end_a_call(mp):
    reader, writer = mp.Pipe(False)
    peer = mp.peer(reader=reader)
    for path, args in (("reader.recv", ()), ("reader.poll", (None,)), ("reader.poll", (SOON,))):
        waiting = peer.blocked(path, *args)
        peer.signal(signal.SIGUSR1)
        until_asleep(peer.pid)
        assert not waiting.done()
        writer.send(True)
        assert waiting.result() is True
        if path != "reader.recv":
            assert peer.reader.recv() is True
    assert peer.read("signals.count") == 3
