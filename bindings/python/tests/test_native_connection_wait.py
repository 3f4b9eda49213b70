"""Waiting for pipes: poll, wait, and the descriptors that event loops wait for."""

import multiprocessing.connection
import os
import selectors
import socket
import time

import pytest
from forks import exit_code, forked, in_thread
from slipring.connection import Pipe, wait

PATIENCE = 20.0


def test_poll_keeps_its_time(ends):
    reader, writer = ends
    for timeout in (0, 0.0, -1, -0.5):
        started = time.monotonic()
        assert reader.poll(timeout) is False
        assert time.monotonic() - started < 0.5
    started = time.monotonic()
    assert reader.poll(0.2) is False
    assert 0.19 <= time.monotonic() - started < 2
    join = in_thread(lambda: (time.sleep(0.1), writer.send(1)))
    assert reader.poll(None) is True
    join()
    assert reader.poll(timeout=5) is True and reader.recv() == 1


def test_the_descriptor_is_readable_exactly_while_there_is_something(ends):
    reader, writer = ends
    early, late = Pipe(False)
    late.send_bytes(b"before anybody watched")

    def readable(connection):
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            return bool(selector.select(0))

    assert readable(early)
    assert early.recv_bytes() and not readable(early)
    assert not readable(reader)
    for message in (b"", b"short", b"long" * 40_000):
        writer.send_bytes(message)
        writer.send_bytes(message)
        assert readable(reader)
        reader.recv_bytes()
        assert readable(reader), "level-triggered"
        reader.recv_bytes()
        assert not readable(reader)
    writer.close()
    assert readable(reader)


def test_the_descriptor_of_messages_that_came_before_it_rests_when_another_process_took_them():
    reader, writer = Pipe(False)
    writer.send("taken by the child")
    assert wait([reader], 0) == [reader]
    child = forked(lambda: 0 if reader.recv() == "taken by the child" else 1)
    assert exit_code(child) == 0
    started = time.process_time()
    assert wait([reader], 0.3) == []
    assert time.process_time() - started < 0.2, "it slept"
    writer.send("mine")
    assert wait([reader], PATIENCE) == [reader]


def test_the_descriptor_rests_when_a_blocked_thread_took_what_was_there_before_it():
    reader, writer = Pipe(False)
    writer.send(1)
    reader.fileno()
    taken = []
    assert in_thread(lambda: taken.append(reader.recv()))() is None and taken == [1]
    assert multiprocessing.connection.wait([reader], 0) == []


def test_an_end_that_only_sends_has_a_descriptor_that_hangs_up():
    reader, writer = Pipe(False)
    assert os.fstat(writer.fileno()) and wait([writer], 0) == []
    reader.close()
    assert wait([writer], PATIENCE) == [writer]


@pytest.mark.parametrize("wait", [wait, multiprocessing.connection.wait], ids=["ours", "standard"])
def test_wait_takes_connections_sockets_and_descriptors_and_keeps_their_order(wait):
    pipes = [Pipe(False) for _ in range(3)]
    here, there = socket.socketpair()
    out, into = os.pipe()
    everything = [pipes[0][0], here, out, pipes[1][0], pipes[2][0]]
    assert wait(everything, 0) == [] and wait(everything, -1) == []
    pipes[2][1].send_bytes(b"")
    os.write(into, b"x")
    pipes[0][1].close()
    assert wait(everything, 0) == [pipes[0][0], out, pipes[2][0]]
    there.send(b"y")
    assert wait(everything) == [pipes[0][0], here, out, pipes[2][0]]
    assert wait(everything) == [pipes[0][0], here, out, pipes[2][0]], "level-triggered"
    pipes[2][0].recv_bytes()
    assert wait(iter(everything), 5) == [pipes[0][0], here, out]
    started = time.monotonic()
    assert wait([pipes[1][0]], 0.1) == []
    assert 0.09 < time.monotonic() - started < 2
    here.close(), there.close(), os.close(out), os.close(into)


def test_wait_wakes_for_a_message_and_for_the_end():
    reader, writer = Pipe(False)
    for end in (lambda: writer.send(1), writer.close):
        join = in_thread(lambda: wait([reader], PATIENCE))
        end()
        assert join() == [reader]
        if not writer.closed:
            assert reader.recv() == 1
