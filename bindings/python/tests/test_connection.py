"""Pipe, Connection, connection.wait."""

import array
import asyncio
import datetime
import decimal
import pickle
import select
import selectors
import signal
import socket
import struct
from multiprocessing.reduction import ForkingPickler

import children
import pytest
from helpers import SOON, Worker, differs, eventually, takes, until_asleep

METHODS = pytest.mark.methods("fork", "spawn")
MIB = 1 << 20
OBJECTS = [
    None,
    True,
    False,
    0,
    1,
    -1,
    127,
    128,
    -129,
    2**31,
    -(2**63),
    2**63,
    10**100,
    0.0,
    -0.0,
    1.5,
    float("inf"),
    "",
    "text",
    "ünïcödé \0 \U0001f600",
    b"",
    b"bytes",
    b"\x80\x04N.",
    b"\0" * 30_000,
    bytearray(b"changeable"),
    (),
    (1, "two", 3.0),
    [],
    [[1], [2, [3]]],
    {},
    {"a": 1, 2: [None]},
    {1, 2},
    frozenset("ab"),
    3 + 4j,
    ...,
    NotImplemented,
    range(5),
    slice(1, 2),
    ValueError("a text", 3),
    datetime.datetime(2024, 2, 29, 12, 30),
    decimal.Decimal("1.10"),
    struct.calcsize,
    children.increment,
    children.SignalCount,
    array.array("d", [1.0, 2.5]),
]


def same(one, other):
    if isinstance(one, BaseException):
        return type(one) is type(other) and one.args == other.args
    return type(one) is type(other) and repr(one) == repr(other) and one == other


# Sending and receiving


@pytest.mark.parametrize("duplex", (True, False))
def test_what_is_sent_is_received(mp, duplex):
    reader, writer = mp.Pipe(duplex)
    for sent in OBJECTS:
        writer.send(sent)
        received = reader.recv()
        assert same(sent, received), (sent, received)
    writer.send(OBJECTS[::-1])
    assert all(map(same, OBJECTS[::-1], reader.recv()))


@METHODS
def test_what_is_sent_to_another_process_comes_back(mp):
    ours, theirs = mp.Pipe()
    peer = mp.peer(conn=theirs)
    for sent in OBJECTS:
        ours.send(sent)
        received = peer.conn.recv()
        assert same(sent, received)
        peer.conn.send(received)
        assert same(sent, ours.recv())


def test_bytes_may_be_pickles_and_pickles_bytes(mp):
    reader, writer = mp.Pipe(False)
    writer.send_bytes(pickle.dumps({"a": [1, 2]}))
    assert reader.recv() == {"a": [1, 2]}
    writer.send_bytes(ForkingPickler.dumps(None))
    assert reader.recv() is None


def test_a_pipe_has_two_ends_or_two_directions(mp):
    one, other = mp.Pipe()
    for end in (one, other):
        assert (end.readable, end.writable, end.closed) == (True, True, False)
    one.send("there")
    other.send("back")
    assert (one.recv(), other.recv()) == ("back", "there")
    reader, writer = mp.Pipe(duplex=False)
    assert (reader.readable, reader.writable) == (True, False)
    assert (writer.readable, writer.writable) == (False, True)


def test_messages_keep_their_order_and_boundaries(mp):
    reader, writer = mp.Pipe(False)
    messages = [bytes([n % 251]) * (n * n % 701) for n in range(60)]
    for message in messages:
        writer.send_bytes(message)
    assert [reader.recv_bytes() for _ in messages] == messages
    assert reader.poll() is False


@METHODS
def test_sixteen_mebibytes_pass(mp):
    ours, theirs = mp.Pipe()
    peer = mp.peer(conn=theirs)
    message = bytes(range(256)) * (16 * MIB // 256)
    receiving = peer.begin("conn.recv_bytes")
    ours.send_bytes(message)
    assert receiving.result() == message
    sending = peer.begin("conn.send", [message, message[:5]])
    assert ours.recv() == [message, message[:5]]
    assert sending.result() is None


@METHODS
def test_a_sender_waits_where_nobody_reads(mp):
    ours, theirs = mp.Pipe()
    peer = mp.peer(conn=theirs)
    messages = [bytes([n]) * (4 * MIB) for n in range(16)]
    sending = Worker(lambda: [ours.send_bytes(message) for message in messages])
    for message in messages:
        assert peer.conn.recv_bytes() == message
    sending.result()


def test_an_object_that_cant_be_pickled_is_not_sent(mp):
    reader, writer = mp.Pipe(False)
    for thing in (lambda: 0, children, signal.SIGINT.__class__.__dict__, [lambda: 0]):
        with pytest.raises((pickle.PicklingError, AttributeError, TypeError)):
            writer.send(thing)
    assert reader.poll() is False
    writer.send("next")
    assert reader.recv() == "next"


# The end of a connection


def test_what_was_sent_before_the_end_is_received_then_eof(mp):
    reader, writer = mp.Pipe(False)
    writer.send("last words")
    writer.send_bytes(b"")
    writer.close()
    assert reader.recv() == "last words"
    assert reader.recv_bytes() == b""
    for receive in (reader.recv, reader.recv_bytes, lambda: reader.recv_bytes_into(bytearray(9))):
        with pytest.raises(EOFError):
            receive()


def test_the_end_is_something_to_be_read(mp):
    one, other = mp.Pipe()
    assert one.poll() is False
    other.close()
    assert one.poll() is True
    assert one.poll(SOON) is True
    assert mp.wait([one], SOON) == [one]
    with pytest.raises(EOFError):
        one.recv()


@METHODS
def test_the_end_wakes_who_waits_for_a_message(mp):
    reader, writer = mp.Pipe(False)
    # A fork has a copy of each end, given or not.
    peer = mp.peer(reader=reader, writer=writer)
    peer.writer.close()
    waiting = peer.blocked("reader.recv")
    writer.close()
    with pytest.raises(EOFError):
        waiting.result()


@METHODS
def test_eof_comes_when_the_last_copy_is_closed(mp):
    reader, writer = mp.Pipe(False)
    peer = mp.peer(writer=writer)
    writer.close()
    assert reader.poll(0.05) is False
    peer.writer.send("still here")
    assert reader.recv() == "still here"
    receiving = Worker(reader.recv).blocked()
    peer.writer.close()
    with pytest.raises(EOFError):
        receiving.result()


@METHODS
@pytest.mark.parametrize("how", ("end", "kill"))
def test_a_process_that_is_gone_is_the_end(mp, how):
    reader, writer = mp.Pipe(False)
    peer = mp.peer(writer=writer)
    writer.close()
    peer.writer.send(1)
    receiving = Worker(lambda: (reader.recv(), reader.recv()))
    getattr(peer, how)()
    with pytest.raises(EOFError):
        receiving.result()


def test_sending_to_a_closed_end_is_a_broken_pipe(mp):
    for duplex in (True, False):
        reader, writer = mp.Pipe(duplex)
        writer.send("unread")
        reader.close()
        for send in (writer.send, writer.send_bytes):
            with pytest.raises(BrokenPipeError):
                send(b"x")


@METHODS
def test_sending_to_a_killed_process_is_a_broken_pipe(mp):
    reader, writer = mp.Pipe(False)
    peer = mp.peer(reader=reader)
    reader.close()
    peer.kill()
    with pytest.raises(BrokenPipeError):
        writer.send("anyone?")


@METHODS
def test_a_sender_that_waits_is_told_that_the_reader_is_gone(mp):
    reader, writer = mp.Pipe(False)
    peer = mp.peer(reader=reader)
    reader.close()

    def fill():
        while True:
            writer.send_bytes(bytes(MIB))

    sending = Worker(fill).blocked()
    peer.kill()
    with pytest.raises(BrokenPipeError):
        sending.result()


# Misuse


def test_a_closed_connection_is_an_os_error(mp):
    conn, _other = mp.Pipe()
    conn.close()
    conn.close()
    assert conn.closed is True
    calls = (
        lambda: conn.send(1),
        lambda: conn.send_bytes(b"1"),
        conn.recv,
        conn.recv_bytes,
        lambda: conn.recv_bytes_into(bytearray(1)),
        conn.poll,
        conn.fileno,
    )
    for call in calls:
        with pytest.raises(OSError, match="handle is closed"):
            call()


def test_with_closes_it(mp):
    one, other = mp.Pipe()
    with one as itself:
        assert itself is one
        other.send(1)
        assert one.recv() == 1
    assert one.closed is True
    with pytest.raises(EOFError):
        other.recv()


def test_the_wrong_direction_is_an_os_error(mp):
    reader, writer = mp.Pipe(False)
    for call in (
        writer.recv,
        writer.recv_bytes,
        lambda: writer.recv_bytes_into(bytearray(1)),
        writer.poll,
    ):
        with pytest.raises(OSError, match="write-only"):
            call()
    for call in (lambda: reader.send(1), lambda: reader.send_bytes(b"1")):
        with pytest.raises(OSError, match="read-only"):
            call()


def test_send_bytes_checks_offset_and_size(mp):
    reader, writer = mp.Pipe(False)
    message = b"abcdefghijklmnopqrstuvwxyz"
    for offset, size in ((27, None), (22, 5), (26, 1), (-1, None), (4, -1)):
        with pytest.raises(ValueError):
            writer.send_bytes(message, offset, size)
    assert reader.poll() is False
    for args, sent in (
        ((), message),
        ((5,), message[5:]),
        ((7, 8), message[7:15]),
        ((26,), b""),
        ((26, 0), b""),
        ((0, None), message),
    ):
        writer.send_bytes(message, *args)
        assert reader.recv_bytes() == sent
    writer.send_bytes(message, offset=1, size=2)
    assert reader.recv_bytes() == b"bc"


def test_send_bytes_takes_any_buffer_and_counts_bytes(mp):
    reader, writer = mp.Pipe(False)
    numbers = array.array("i", range(10))
    width = numbers.itemsize
    for buffer in (numbers, memoryview(numbers), bytearray(numbers), memoryview(numbers.tobytes())):
        writer.send_bytes(buffer)
        assert reader.recv_bytes() == numbers.tobytes()
    writer.send_bytes(numbers, 2 * width, 3 * width)
    assert reader.recv_bytes() == numbers[2:5].tobytes()
    for wrong in ("text", 7, None, [1]):
        with pytest.raises(TypeError):
            writer.send_bytes(wrong)


def test_recv_bytes_takes_no_more_than_it_is_told(mp):
    reader, writer = mp.Pipe(False)
    writer.send_bytes(b"12345")
    assert reader.recv_bytes(5) == b"12345"
    writer.send_bytes(b"")
    assert reader.recv_bytes(0) == b""
    with pytest.raises(ValueError, match="negative maxlength"):
        reader.recv_bytes(-1)
    writer.send_bytes(b"123456")
    with pytest.raises(OSError, match="bad message length"):
        reader.recv_bytes(5)
    assert reader.closed is True


def test_a_message_that_is_too_long_ends_the_reading_but_not_the_writing(mp):
    one, other = mp.Pipe()
    other.send_bytes(bytes(100))
    with pytest.raises(OSError, match="bad message length"):
        one.recv_bytes(99)
    assert one.readable is False
    with pytest.raises(OSError, match="write-only"):
        one.recv_bytes()
    one.send("still")
    assert other.recv() == "still"


def test_recv_bytes_into_fills_a_buffer_from_an_offset(mp):
    reader, writer = mp.Pipe(False)
    buffer = bytearray(b"." * 10)
    writer.send_bytes(b"abc")
    assert reader.recv_bytes_into(buffer) == 3
    assert buffer == b"abc......."
    writer.send_bytes(b"xyz")
    assert reader.recv_bytes_into(buffer, 7) == 3
    assert buffer == b"abc....xyz"
    writer.send_bytes(b"")
    assert reader.recv_bytes_into(buffer, 10) == 0
    numbers = array.array("i", [0] * 10)
    writer.send_bytes(array.array("i", range(1, 6)))
    assert reader.recv_bytes_into(numbers, 3 * numbers.itemsize) == 5 * numbers.itemsize
    assert list(numbers) == [0, 0, 0, 1, 2, 3, 4, 5, 0, 0]


def test_recv_bytes_into_checks_its_buffer(mp):
    reader, writer = mp.Pipe(False)
    writer.send_bytes(b"kept")
    for offset in (-1, 5):
        with pytest.raises(ValueError):
            reader.recv_bytes_into(bytearray(4), offset)
    for wrong in (bytes(4), memoryview(bytes(4))):
        if differs(mp, "a buffer that can't be written is refused before the message is taken"):
            with pytest.raises((TypeError, BufferError)):
                reader.recv_bytes_into(wrong)
    assert reader.recv_bytes() == b"kept"


@pytest.mark.parametrize("size", (10, 30_000))
def test_a_buffer_that_is_too_short_gives_the_message_in_the_error(mp, size):
    reader, writer = mp.Pipe(False)
    message = b"x" * size
    for buffer, offset in ((bytearray(size - 1), 0), (bytearray(size), 1)):
        writer.send_bytes(message)
        before = bytes(buffer)
        with pytest.raises(mp.BufferTooShort) as caught:
            reader.recv_bytes_into(buffer, offset)
        assert caught.value.args == (message,)
        assert buffer == before
    writer.send("next")
    assert reader.recv() == "next"


# Waiting


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


# Handing connections on


@METHODS
def test_a_connection_is_sent_over_a_connection(mp):
    ours, theirs = mp.Pipe()
    peer = mp.peer(conn=theirs)
    reader, writer = mp.Pipe(False)
    ours.send(writer)
    peer.receive("conn", "sent")
    writer.close()
    peer.sent.send("through both")
    assert reader.recv() == "through both"
    receiving = Worker(reader.recv).blocked()
    peer.sent.close()
    with pytest.raises(EOFError):
        receiving.result()


@METHODS
def test_a_connection_that_came_is_sent_on(mp):
    first, to_first = mp.Pipe()
    second, to_second = mp.Pipe()
    one, other = mp.peer(conn=to_first, back=second), mp.peer(conn=to_second)
    reader, writer = mp.Pipe(False)
    first.send(reader)
    one.receive("conn", "sent")
    reader.close()
    one.call("send_on", "back", "sent")
    other.receive("conn", "sent")
    one.sent.close()
    writer.send("a long way")
    assert other.sent.recv() == "a long way"


@METHODS
def test_a_child_hands_its_connection_to_its_own_child(mp):
    reader, writer = mp.Pipe(False)
    mp.start(children.hand_on, mp.name, mp.method, 2, children.send_bye, writer)
    writer.close()
    assert reader.recv() == "bye"
    with pytest.raises(EOFError):
        reader.recv()


def test_a_pickled_connection_is_another_copy(mp):
    reader, writer = mp.Pipe(False)
    copy = pickle.loads(ForkingPickler.dumps(writer))
    assert (copy.readable, copy.writable) == (False, True)
    assert copy.fileno() != writer.fileno()
    writer.close()
    copy.send("by the copy")
    assert reader.recv() == "by the copy"
    copy.close()
    with pytest.raises(EOFError):
        reader.recv()


@METHODS
def test_two_processes_write_to_one_end(mp):
    if not differs(mp, "large messages of two processes through one end are not torn"):
        return
    reader, writer = mp.Pipe(False)
    each, size = 20, 3 * MIB + 1
    processes = [mp.start(children.send_blocks, writer, mark, each, size) for mark in range(1, 4)]
    writer.close()
    seen = {1: 0, 2: 0, 3: 0}
    for _ in range(3 * each):
        message = reader.recv_bytes()
        mark = message[0]
        assert len(message) == size
        assert message == bytes([mark]) * size
        seen[mark] += 1
    assert seen == {1: each, 2: each, 3: each}
    with pytest.raises(EOFError):
        reader.recv()
    for process in processes:
        process.join(SOON)
        assert process.exitcode == 0


@METHODS
def test_two_processes_read_from_one_end_and_each_message_comes_once(mp):
    if not differs(mp, "several processes may read from one end"):
        return
    reader, writer = mp.Pipe(False)
    results = mp.Queue()
    processes = [mp.start(children.receive_all, reader, results) for _ in range(2)]
    reader.close()
    for number in range(2000):
        writer.send(number)
    writer.send(None)
    writer.send(None)
    got = [results.get(timeout=SOON) for _ in processes]
    assert sorted(sum(got, [])) == list(range(2000))
    assert all(part == sorted(part) for part in got)
    eventually(lambda: not any(process.is_alive() for process in processes))
