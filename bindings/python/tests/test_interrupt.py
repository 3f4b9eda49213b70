"""Ctrl-C, a SIGINT from outside, ends every blocked call with KeyboardInterrupt."""

import signal

import pytest
from helpers import differs, eventually, until_asleep

FULL = bytes(1 << 20)


def held(mp, kind):
    lock = getattr(mp, kind)()
    lock.acquire()
    return {"lock": lock}


def full_queue(mp, kind):
    q = getattr(mp, kind)(1)
    q.put(1)
    return {"q": q}


def unfinished(mp):
    q = mp.JoinableQueue()
    q.put(1)
    return {"q": q}


def pipe(mp):
    reader, writer = mp.Pipe(False)
    return {"reader": reader, "writer": writer, "connection": mp.submodule("connection")}


def shared(mp, make):
    value = getattr(mp, make)("i", 1)
    value.acquire()
    return {"value": value}


# What is made in the parent, and the call that blocks in the peer.
CALLS = {
    "Queue.get": (lambda mp: {"q": mp.Queue()}, "q.get"),
    "Queue.get(timeout)": (lambda mp: {"q": mp.Queue()}, "q.get", True, 300),
    "Queue.put": (lambda mp: full_queue(mp, "Queue"), "q.put", 2),
    "Queue.put(timeout)": (lambda mp: full_queue(mp, "Queue"), "q.put", 2, True, 300),
    "JoinableQueue.get": (lambda mp: {"q": mp.JoinableQueue()}, "q.get"),
    "JoinableQueue.put": (lambda mp: full_queue(mp, "JoinableQueue"), "q.put", 2),
    "JoinableQueue.join": (unfinished, "q.join"),
    "SimpleQueue.get": (lambda mp: {"q": mp.SimpleQueue()}, "q.get"),
    "Connection.recv": (pipe, "reader.recv"),
    "Connection.recv_bytes": (pipe, "reader.recv_bytes"),
    "Connection.recv_bytes_into": (pipe, "reader.recv_bytes_into", bytearray(10)),
    "Connection.poll(None)": (pipe, "reader.poll", None),
    "Connection.poll(timeout)": (pipe, "reader.poll", 300),
    "Lock.acquire": (lambda mp: held(mp, "Lock"), "lock.acquire"),
    "Lock.acquire(timeout)": (lambda mp: held(mp, "Lock"), "lock.acquire", True, 300),
    "Lock.__enter__": (lambda mp: held(mp, "Lock"), "lock.__enter__"),
    "RLock.acquire": (lambda mp: held(mp, "RLock"), "lock.acquire"),
    "RLock.acquire(timeout)": (lambda mp: held(mp, "RLock"), "lock.acquire", True, 300),
    "Semaphore.acquire": (lambda mp: held(mp, "Semaphore"), "lock.acquire"),
    "BoundedSemaphore.acquire": (lambda mp: held(mp, "BoundedSemaphore"), "lock.acquire"),
    "Condition.acquire": (lambda mp: held(mp, "Condition"), "lock.acquire"),
    "Event.wait": (lambda mp: {"event": mp.Event()}, "event.wait"),
    "Event.wait(timeout)": (lambda mp: {"event": mp.Event()}, "event.wait", 300),
    "Value.acquire": (lambda mp: shared(mp, "Value"), "value.acquire"),
    "Value.value": (lambda mp: shared(mp, "Value"), "read", "value.value"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_blocked_call_ends_with_keyboard_interrupt(mp, call):
    make, path, *args = CALLS[call]
    peer = mp.peer(**make(mp))
    for _ in range(2):
        waiting = peer.blocked(path, *args)
        peer.signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            waiting.result()


@pytest.mark.parametrize("call", CALLS)
def test_a_signal_that_has_a_handler_ends_no_blocked_call(mp, call):
    make, path, *args = CALLS[call]
    peer = mp.peer(**make(mp))
    waiting = peer.blocked(path, *args)
    for _ in range(2):
        peer.signal(signal.SIGUSR1)
        until_asleep(peer.pid)
        assert not waiting.done()
    peer.signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        waiting.result()
    # Two that come close together may be one to the interpreter.
    assert peer.read("signals.count") in (1, 2)


@pytest.mark.methods("fork", "spawn")
def test_a_sender_that_waits_is_interrupted(mp):
    reader, writer = mp.Pipe(False)
    peer = mp.peer(reader=reader, writer=writer)
    sending = peer.begin("writer.send_bytes", FULL)
    # Until one waits for room.
    while True:
        try:
            eventually(sending.done, 0.5)
        except AssertionError:
            break
        sending.result()
        sending = peer.begin("writer.send_bytes", FULL)
    peer.signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        sending.result()


def test_wait_for_connections_is_interrupted(mp):
    reader, _writer = mp.Pipe(False)
    peer = mp.peer(wait=mp.submodule("connection").wait, reader=reader)
    waiting = peer.blocked("wait", [reader])
    peer.signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        waiting.result()


def test_an_interrupted_wait_for_a_condition_has_the_lock_again(mp):
    cond = mp.Condition()
    peer = mp.peer(cond=cond)
    for args in ((), (300,)):
        peer.cond.acquire()
        waiting = peer.blocked("cond.wait", *args)
        peer.signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            waiting.result()
        assert cond.acquire(False) is False
        peer.cond.release()
        assert cond.acquire(False) is True
        cond.release()


def test_a_party_of_a_barrier_is_interrupted(mp):
    barrier = mp.Barrier(2)
    peer = mp.peer(barrier=barrier)
    waiting = peer.blocked("barrier.wait")
    peer.signal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        waiting.result()
    assert barrier.n_waiting == 0
    assert barrier.broken is differs(mp, "a party that gives up breaks the barrier, whatever made it")


def test_what_was_interrupted_works_on(mp):
    q, lock, event = mp.Queue(), mp.Lock(), mp.Event()
    reader, writer = mp.Pipe(False)
    peer = mp.peer(q=q, lock=lock, event=event, reader=reader)
    lock.acquire()
    for path in ("q.get", "lock.acquire", "event.wait", "reader.recv"):
        waiting = peer.blocked(path)
        peer.signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            waiting.result()
    waiting = peer.blocked("q.get")
    q.put("item")
    assert waiting.result() == "item"
    waiting = peer.blocked("lock.acquire")
    lock.release()
    assert waiting.result() is True
    waiting = peer.blocked("event.wait")
    event.set()
    assert waiting.result() is True
    waiting = peer.blocked("reader.recv")
    writer.send("message")
    assert waiting.result() == "message"
