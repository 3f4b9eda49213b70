"""The descriptor of an end that several processes share: readable while there is something to receive, in all."""

import random
import select
import threading
import time

import children
import pytest
from helpers import eventually

METHODS = pytest.mark.methods("fork", "spawn", "forkserver")


@METHODS
def test_what_another_process_took_is_not_to_be_seen(mp):
    reader, writer = mp.Pipe(False)
    writer.send("before anybody asked for the descriptor")
    peer = mp.peer(reader=reader)
    assert peer.call("readable", "reader") and children.is_readable(reader)
    reader.recv()
    assert not peer.call("readable", "reader")
    writer.send("and one after that")
    assert peer.call("readable", "reader") and children.is_readable(reader)
    peer.reader.recv()
    assert not peer.call("readable", "reader") and not children.is_readable(reader)


@METHODS
@pytest.mark.parametrize("seed", range(4))
def test_readable_is_in_every_process_what_can_be_received(mp, seed):
    rng = random.Random(seed)
    if seed % 2:
        writer, reader = mp.Pipe()
    else:
        reader, writer = mp.Pipe(False)
    peers = [mp.peer(reader=reader) for _ in range(2)]
    asked = 0
    for chance in (0.0, 0.1, 0.5):
        waiting = 0
        for number in range(60):
            act = rng.random()
            if act < 0.35 and waiting < 12:
                # Of multiprocessing's pipe they fit the buffer; of ours one lies in a block.
                writer.send(bytes(rng.choice((1, 100, 5000))))
                waiting += 1
            elif act < 0.45:
                # Whoever looks and finds nothing may quiet what the others watch.
                assert rng.choice(peers).reader.poll(0) == (waiting > 0)
                assert reader.poll(rng.choice((0, 0.001))) == (waiting > 0)
            elif waiting and act < 0.8:
                rng.choice([reader, *(peer.reader for peer in peers)]).recv()
                waiting -= 1
            elif not waiting and act < 0.5:
                # Somebody sleeps in `recv` when the message comes.
                pending = rng.choice(peers).blocked("reader.recv")
                writer.send(number)
                assert pending.result() == number
            if rng.random() < chance:
                asked += 1
                seen = [children.is_readable(reader), *(peer.call("readable", "reader") for peer in peers)]
                assert seen == [waiting > 0] * 3, (number, waiting, seen)
        while waiting:
            peers[waiting % 2].reader.recv()
            waiting -= 1
    assert asked > 20
    if mp.method != "fork":
        # Forked peers have the other end, too.
        writer.close()
        assert children.is_readable(reader) and all(peer.call("readable", "reader") for peer in peers), "end of file"


@METHODS
def test_processes_that_poll_under_a_lock_take_everything_and_never_wait(mp):
    reader, writer = mp.Pipe(False)
    lock, results = mp.Lock(), mp.Queue()
    writer.send(0)
    workers = [mp.start(children.take_under, lock, reader, results) for _ in range(3)]
    rng = random.Random(1)
    for number in range(1, 300):
        writer.send(number)
        if rng.random() < 0.1:
            time.sleep(0.001)
    for _ in workers:
        writer.send(None)
    taken = [results.get(timeout=20) for _ in workers]
    assert sorted(sum(taken, [])) == list(range(300))
    for worker in workers:
        worker.join()


def test_messages_that_came_and_went_before_are_not_to_be_seen(mp):
    reader, writer = mp.Pipe(False)
    for _ in range(3):
        writer.send(1)
        reader.recv()
    assert not children.is_readable(reader)
    writer.send(1)
    assert children.is_readable(reader)


def test_a_thread_that_waits_in_recv_hides_nothing_from_the_descriptor(mp):
    reader, writer = mp.Pipe(False)
    writer.send(1)
    reader.recv()
    received = []
    thread = threading.Thread(target=lambda: received.append(reader.recv()), daemon=True)
    thread.start()
    time.sleep(0.05)
    assert not children.is_readable(reader)
    poll = select.poll()
    poll.register(reader, select.POLLIN)
    writer.send(2)
    thread.join()
    assert received == [2]
    eventually(lambda: not children.is_readable(reader))
