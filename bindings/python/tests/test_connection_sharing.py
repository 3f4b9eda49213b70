"""Connections handed on, and ends that several processes use."""

import pickle
from multiprocessing.reduction import ForkingPickler

import children
import pytest
from helpers import SOON, Worker, differs, eventually

METHODS = pytest.mark.methods("fork", "spawn")
MIB = 1 << 20


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
