"""Pipes as the native half makes them: kills, threads, big and hostile messages, other processes."""

import array
import gc
import mmap
import os
import pickle
import signal
import struct
import threading
import time

import pytest
from forks import exit_code, forked, in_thread
from helpers import eventually
from slipring import _native, reduction
from slipring.connection import BufferTooShort, Connection, Pipe
from slipring.context import _default_context

PATIENCE = 20.0


# --- messages ---


@pytest.mark.parametrize("size", [0, 1, 4096, 4097, 65536, 65537, (16 << 20) + 5])
def test_messages_of_any_size_come_whole(ends, size):
    reader, writer = ends
    message = os.urandom(size)
    writer.send_bytes(message)
    assert reader.recv_bytes() == message
    writer.send_bytes(bytearray(message))
    room = bytearray(size + 3)
    assert reader.recv_bytes_into(room, 2) == size
    assert bytes(room[2:-1]) == message


def test_boundaries_are_kept_and_an_empty_message_is_one(ends):
    reader, writer = ends
    for message in (b"a", b"", b"bc"):
        writer.send_bytes(message)
    assert [reader.recv_bytes() for _ in range(3)] == [b"a", b"", b"bc"]
    assert not reader.poll()


def test_more_than_the_ring_holds_waits_for_the_receiver(ends):
    reader, writer = ends
    messages = [os.urandom(3000) for _ in range(300)]
    join = in_thread(lambda: [writer.send_bytes(message) for message in messages])
    assert [reader.recv_bytes() for _ in messages] == messages
    assert len(join()) == 300


def test_several_long_messages_that_wait_for_room_are_written_once_and_come_whole():
    reader, writer = Pipe(False)
    message = os.urandom(20 << 20)
    join = in_thread(lambda: [writer.send_bytes(message) for _ in range(8)])
    assert all(reader.recv_bytes() == message for _ in range(8))
    join()


@pytest.mark.parametrize("obj", [None, True, 7, -(1 << 70), 1.5, "text\ud800", b"bytes", [1, {"a": (2,)}], print])
def test_objects_come_as_they_were(ends, obj):
    reader, writer = ends
    writer.send(obj)
    found = reader.recv()
    assert found == obj and type(found) is type(obj)


def test_a_plain_pickle_sent_as_bytes_is_an_object(ends):
    reader, writer = ends
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        writer.send_bytes(pickle.dumps([protocol], protocol))
        assert reader.recv() == [protocol]


def test_what_cannot_be_pickled_is_not_sent(ends):
    reader, writer = ends
    with pytest.raises((AttributeError, pickle.PicklingError)):
        writer.send(lambda: None)
    assert not reader.poll()
    writer.send(1)
    assert reader.recv() == 1


@pytest.mark.parametrize(
    "message", [b"", b"\x80", b"\x80\x05", b"\x00", b"\xff" * 40, b"\x80\x05\x95" + b"\xff" * 8, bytes(range(256))]
)
def test_bytes_that_are_no_object_are_an_error_and_no_more(ends, message):
    reader, writer = ends
    writer.send_bytes(message)
    with pytest.raises((EOFError, pickle.UnpicklingError, ValueError, OverflowError, KeyError)):
        reader.recv()
    writer.send("next")
    assert reader.recv() == "next"


# --- arguments ---


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((-1,), "offset is negative"),
        ((5,), "buffer length < offset"),
        ((0, -1), "size is negative"),
        ((0, 5), "buffer length < offset \\+ size"),
        ((4, 1), "buffer length < offset \\+ size"),
    ],
)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_wrong_parts_of_a_buffer_are_value_errors(ends, kind, args, text):
    reader, writer = ends
    with pytest.raises(ValueError, match=f"^{text}$"):
        writer.send_bytes(kind(b"abcd"), *args)
    assert not reader.poll()


def test_parts_of_buffers_are_counted_in_bytes(ends):
    reader, writer = ends
    numbers = array.array("i", range(10))
    writer.send_bytes(numbers, 4, 8)
    assert array.array("i", reader.recv_bytes()) == array.array("i", [1, 2])
    writer.send_bytes(b"abcd", 4)
    assert reader.recv_bytes() == b""
    writer.send_bytes(numbers)
    room = array.array("i", [0] * 12)
    assert reader.recv_bytes_into(room, 4) == 40
    assert room == array.array("i", [0, *range(10), 0])


def test_buffers_that_cannot_be_used_are_refused_before_anything_is_received(ends):
    reader, writer = ends
    with pytest.raises(TypeError):
        writer.send_bytes("text")
    with pytest.raises(BufferError):
        writer.send_bytes(memoryview(b"abcdef")[::2])
    writer.send_bytes(b"abc")
    with pytest.raises(TypeError, match="read-write"):
        reader.recv_bytes_into(b"...")
    with pytest.raises(BufferError):
        reader.recv_bytes_into(memoryview(bytearray(10))[::2])
    with pytest.raises(ValueError, match="negative offset"):
        reader.recv_bytes_into(bytearray(3), -1)
    with pytest.raises(ValueError, match="offset too large"):
        reader.recv_bytes_into(bytearray(3), 4)
    assert reader.recv_bytes_into(bytearray(3), 0) == 3


def test_a_buffer_that_is_too_short_gets_the_message_in_the_error(ends):
    reader, writer = ends
    for message in (b"a message", os.urandom(1 << 20)):
        writer.send_bytes(message)
        with pytest.raises(BufferTooShort) as caught:
            reader.recv_bytes_into(bytearray(8), 0)
        assert caught.value.args == (message,)


def test_a_message_over_the_limit_ends_receiving():
    one, two = Pipe()
    two.send_bytes(b"12345")
    assert one.recv_bytes(5) == b"12345"
    two.send_bytes(b"123456")
    with pytest.raises(OSError, match="bad message length"):
        one.recv_bytes(5)
    assert not one.readable and one.writable and not one.closed
    with pytest.raises(OSError, match="connection is write-only"):
        one.recv_bytes()
    one.send_bytes(b"still")
    assert two.recv_bytes() == b"still"
    reader, writer = Pipe(False)
    writer.send_bytes(b"123456")
    with pytest.raises(OSError, match="bad message length"):
        reader.recv_bytes(5)
    assert reader.closed
    with pytest.raises(BrokenPipeError):
        writer.send(1)
    with pytest.raises(ValueError, match="negative maxlength"):
        two.recv_bytes(-1)


def test_the_wrong_direction_and_a_closed_end_are_os_errors():
    reader, writer = Pipe(False)
    assert (reader.readable, reader.writable, writer.readable, writer.writable) == (True, False, False, True)
    for call in (lambda: writer.recv(), lambda: writer.poll(), lambda: writer.recv_bytes()):
        with pytest.raises(OSError, match="^connection is write-only$"):
            call()
    for call in (lambda: reader.send(1), lambda: reader.send_bytes(b"")):
        with pytest.raises(OSError, match="^connection is read-only$"):
            call()
    reader.close()
    reader.close()
    assert reader.closed and reader.readable and not writer.closed
    for call in (reader.recv, reader.poll, reader.fileno, reader.recv_bytes, lambda: reader.send(1)):
        with pytest.raises(OSError, match="^handle is closed$"):
            call()
    with writer as same:
        assert same is writer
    assert writer.closed
    with pytest.raises(TypeError):
        Connection(3)


# --- the end ---


def test_the_end_of_file_comes_after_the_last_message(ends):
    reader, writer = ends
    writer.send(1)
    writer.send_bytes(b"x" * 100_000)
    writer.close()
    assert reader.recv() == 1 and reader.poll(PATIENCE) and len(reader.recv_bytes()) == 100_000
    assert reader.poll()
    for receive in (reader.recv, reader.recv_bytes, lambda: reader.recv_bytes_into(bytearray(1))):
        with pytest.raises(EOFError):
            receive()


def test_sending_to_a_closed_end_is_a_broken_pipe(ends):
    reader, writer = ends
    reader.close()
    for message in (b"", b"short", b"long" * 50_000):
        with pytest.raises(BrokenPipeError) as caught:
            writer.send_bytes(message)
        assert caught.value.errno == 32


def test_an_end_that_is_collected_is_closed(ends):
    reader, writer = Pipe()
    writer.cycle = [writer]
    del writer
    gc.collect()
    with pytest.raises(EOFError):
        reader.recv()


def test_the_end_comes_with_the_last_copy():
    reader, writer = Pipe(False)
    goes, go = Pipe(False)
    child = forked(lambda: writer.send("from the child") or goes.recv())
    writer.close()
    assert reader.recv() == "from the child"
    assert not reader.poll(0.05), "the child has a copy"
    reader_is_done = in_thread(reader.recv)
    go.send(0)
    assert isinstance(reader_is_done(), EOFError)
    assert exit_code(child) == 0


def test_a_child_that_drops_its_copy_without_closing_has_closed_it():
    reader, writer = Pipe(False)
    writers = [writer]
    del writer

    def work():
        writers.clear()
        gc.collect()
        signal.pause()

    child = forked(work)
    writers.clear()
    with pytest.raises(EOFError):
        reader.recv()
    os.kill(child, signal.SIGKILL)
    exit_code(child)


@pytest.mark.parametrize("size", [10, 100_000])
def test_a_kill_is_the_end_of_file_at_once(size):
    reader, writer = Pipe()

    def work():
        reader.close()
        writer.send_bytes(b"x" * size)
        signal.pause()

    child = forked(work)
    writer.close()
    assert len(reader.recv_bytes()) == size
    started = time.monotonic()
    os.kill(child, signal.SIGKILL)
    with pytest.raises(EOFError):
        reader.recv()
    with pytest.raises(BrokenPipeError):
        reader.send(1)
    assert time.monotonic() - started < 1
    exit_code(child)


def test_a_blocked_sender_hears_of_a_kill():
    reader, writer = Pipe(False)
    child = forked(lambda: (writer.close(), signal.pause()))
    reader.close()
    join = in_thread(lambda: [writer.send_bytes(bytes(4000)) for _ in range(10_000)])
    eventually(lambda: not writer._try_send(None) or None)
    os.kill(child, signal.SIGKILL)
    assert isinstance(join(), BrokenPipeError)
    exit_code(child)


@pytest.mark.parametrize("size", [100, 200_000])
def test_processes_that_are_killed_in_send_or_recv_leave_the_others_a_working_pipe(size):
    reader, writer = Pipe(False)
    kinds = [lambda number: writer.send_bytes(struct.pack("I", number) * (size // 4)), lambda _: reader.recv_bytes()]
    for kind in kinds:
        children = [forked(lambda kind=kind: [kind(number) for number in range(1 << 30)]) for _ in range(3)]
        partner = forked(lambda kind=kind: [kinds[kind is kinds[0]](9) for _ in range(1 << 30)])
        for child in children:
            time.sleep(0.03)  # somewhere in the middle
            os.kill(child, signal.SIGKILL)
            assert exit_code(child) == -signal.SIGKILL
        os.kill(partner, signal.SIGKILL)
        exit_code(partner)
    while reader.poll(0.3):
        message = reader.recv_bytes()
        assert len(message) == size and message == message[:4] * (size // 4), "torn"
    child = forked(lambda: writer.send("after all"))
    assert reader.recv() == "after all"
    assert exit_code(child) == 0


# --- many ---


def test_several_processes_and_threads_use_one_end_and_nothing_is_torn():
    reader, writer = Pipe(False)
    sizes = [8, 3000, 70_000]

    def send(who):
        for number in range(150):
            writer.send_bytes(struct.pack("II", who, number) * (sizes[number % 3] // 8))

    def work(first):
        threads = [threading.Thread(target=send, args=(first + which,)) for which in range(2)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]

    children = [forked(lambda first=first: work(first)) for first in (0, 2)]
    writer.close()
    seen = {who: [] for who in range(4)}
    lock = threading.Lock()

    def receive():
        while True:
            try:
                message = reader.recv_bytes()
            except EOFError:
                return
            who, number = struct.unpack_from("II", message)
            assert message == message[:8] * (sizes[number % 3] // 8)
            with lock:
                seen[who].append(number)

    joins = [in_thread(receive) for _ in range(3)]
    assert [join() for join in joins] == [None] * 3
    assert [exit_code(child) for child in children] == [0, 0]
    assert all(sorted(numbers) == list(range(150)) for numbers in seen.values())


# --- memory ---


def test_messages_leave_nothing_behind():
    reader, writer = Pipe()
    message = mmap.mmap(-1, 4 << 20)
    writer.send_bytes(message)
    reader.recv_bytes()
    _, committed, _ = _native.segment_memory()
    fds = len(os.listdir("/proc/self/fd"))
    for _ in range(50):
        writer.send_bytes(message)
        reader.recv_bytes()
        with pytest.raises(BufferTooShort):
            writer.send_bytes(message)
            reader.recv_bytes_into(bytearray(1))
    for _ in range(200):
        one, two = Pipe()
        one.fileno()
        one.close()
        two.close()
    assert _native.segment_memory()[1] <= committed + (8 << 20)
    assert len(os.listdir("/proc/self/fd")) == fds
    message.close()


# --- other processes that are given ends ---


def answer(questions, answers, both):
    both.send(("started", questions.recv()))
    answers.send("an answer")
    answers.close()
    arrived = both.recv()
    arrived.send("through a connection that came through a connection")
    del arrived
    here, there = Pipe()
    both.send(there)
    both.send(here.recv())


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_ends_are_given_to_processes_and_sent_over_each_other(method):
    context = _default_context.get_context(method)
    (questions, ask), (answers, answering), (here, there) = Pipe(False), Pipe(False), Pipe()
    process = context.Process(target=answer, args=(questions, answering, there))
    process.start()
    questions.close(), answering.close(), there.close()
    ask.send("a question")
    assert here.recv() == ("started", "a question")
    assert answers.recv() == "an answer"
    with pytest.raises(EOFError):
        answers.recv()
    one, two = Pipe()
    here.send(two)
    two.close()
    assert one.recv() == "through a connection that came through a connection"
    with pytest.raises(EOFError):
        one.recv()
    theirs = here.recv()
    assert (theirs.readable, theirs.writable) == (True, True)
    theirs.send("back")
    assert here.recv() == "back"
    process.join(PATIENCE)
    assert process.exitcode == 0
    with pytest.raises(EOFError):
        here.recv()
    with pytest.raises(BrokenPipeError):
        ask.send("anybody?")


def test_what_was_unpickled_can_be_pickled_again_and_a_closed_end_cannot():
    reader, writer = Pipe(False)
    for _ in range(3):
        again = pickle.loads(pickle.dumps(writer))
        assert (again.readable, again.writable) == (False, True)
        writer.close()
        writer = again
    writer.send("third copy")
    assert reader.recv() == "third copy"
    reader = pickle.loads(pickle.dumps(reader))
    writer.close()
    with pytest.raises(EOFError):
        reader.recv()
    with pytest.raises(OSError, match="handle is closed"):
        pickle.dumps(writer)


def test_the_first_message_to_a_killed_receiver_is_a_broken_pipe():
    for _ in range(10):
        reader, writer = Pipe(False)
        child = forked(lambda reader=reader: [reader.recv() for _ in range(1 << 30)])
        reader.close()
        writer.send(1)
        os.kill(child, signal.SIGKILL)
        exit_code(child)
        with pytest.raises(BrokenPipeError):
            writer.send(2)


def test_a_descriptor_is_sent_over_a_connection():
    one, two = Pipe()
    out, into = os.pipe()
    child = forked(lambda: os.write(reduction.recv_handle(two), b"from the child") and 0)
    reduction.send_handle(one, into, child)
    assert exit_code(child) == 0
    os.close(into)
    assert os.read(out, 100) == b"from the child"
    os.close(out)


def test_arrays_lie_where_the_message_does_and_are_the_receivers_own():
    numpy = pytest.importorskip("numpy")
    reader, writer = Pipe(False)
    sent = numpy.arange(1 << 18, dtype="f8")
    sent.flags.writeable = True
    writer.send({"frame": sent})
    found = reader.recv()["frame"]
    assert (found == sent).all() and found.flags.writeable and not found.flags.owndata
    found[:] = 0
    assert sent[1] == 1
    writer.close()
    reader.close()
    assert found.sum() == 0, "it outlives the pipe"


def test_two_threads_that_send_through_one_end_wait_side_by_side():
    reader, writer = Pipe(False)
    joins = [in_thread(lambda: [writer.send_bytes(bytes(3000)) for _ in range(300)]) for _ in range(4)]
    assert sum(len(reader.recv_bytes()) for _ in range(1200)) == 1200 * 3000
    assert all(len(join()) == 300 for join in joins)
