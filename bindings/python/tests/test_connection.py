"""Pipe, Connection, connection.wait."""

import array
import datetime
import decimal
import pickle
import signal
import struct
from multiprocessing.reduction import ForkingPickler

import children
import pytest
from helpers import SOON, Worker, differs

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
    frozenset("a"),
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
