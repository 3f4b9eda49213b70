"""Condition, Event, Barrier."""

import threading

import pytest
from helpers import SOON, Worker, eventually, takes, until_asleep

METHODS = pytest.mark.methods("fork", "spawn")


def waiting_peers(mp, cond, number):
    """So many peers in cond.wait: each holds the lock until it waits, so all do on return."""
    waits = []
    for _ in range(number):
        peer = mp.peer(cond=cond)
        assert peer.cond.acquire() is True
        waits.append(peer.begin("cond.wait", SOON))
    return waits


def woken(waits):
    return [wait for wait in waits if wait.done()]


def finish(wait):
    """The result of a wait in a peer, which gives the lock back."""
    result = wait.result()
    wait.peer.cond.release()
    return result


# Condition


@METHODS
def test_notify_wakes_one(mp):
    cond = mp.Condition()
    waits = waiting_peers(mp, cond, 3)
    for _ in range(3):
        with cond:
            cond.notify()
        first = eventually(lambda: woken(waits))[0]
        assert finish(first) is True
        waits.remove(first)
        # Nobody else: with the lock free, they could come back.
        for wait in waits:
            until_asleep(wait.peer.pid)
        assert woken(waits) == []


@METHODS
def test_notify_n_wakes_n(mp):
    cond = mp.Condition()
    waits = waiting_peers(mp, cond, 3)
    with cond:
        cond.notify(2)
    for _ in range(2):
        first = eventually(lambda: woken(waits))[0]
        assert finish(first) is True
        waits.remove(first)
    until_asleep(waits[0].peer.pid)
    assert woken(waits) == []
    with cond:
        cond.notify(5)
    assert finish(waits[0]) is True


@METHODS
def test_notify_all_wakes_all(mp):
    cond = mp.Condition()
    waits = waiting_peers(mp, cond, 3)
    with cond:
        cond.notify_all()
        for wait in waits:
            until_asleep(wait.peer.pid)
        assert woken(waits) == [], "they need the lock to come back"
    # Each of them holds the lock until it is told to give it back.
    while waits:
        first = eventually(lambda: woken(waits))[0]
        assert finish(first) is True
        waits.remove(first)


@METHODS
def test_a_notification_with_nobody_waiting_is_not_kept(mp):
    cond = mp.Condition()
    peer = mp.peer(cond=cond)
    with cond:
        cond.notify()
        cond.notify_all()
    peer.cond.acquire()
    assert peer.cond.wait(0.05) is False


def test_wait_gives_false_after_its_timeout_and_holds_the_lock_again(mp):
    cond = mp.Condition()
    with cond:
        with takes(0.1):
            assert cond.wait(0.1) is False
        with takes(0, 5):
            assert cond.wait(-1) is False
        assert Worker(cond.acquire, False).result() is False
    assert Worker(cond.acquire, False).result() is True


def test_a_waiter_that_gave_up_takes_no_notification(mp):
    cond = mp.Condition()
    with cond:
        assert cond.wait(0.01) is False
    [wait] = waiting_peers(mp, cond, 1)
    with cond:
        cond.notify()
    assert finish(wait) is True


def test_wait_and_notify_without_the_lock_are_assertion_errors(mp):
    cond = mp.Condition()
    for call in (cond.wait, cond.notify, cond.notify_all):
        with pytest.raises(AssertionError):
            call()
    with cond, pytest.raises(AssertionError):
        Worker(cond.notify).result()


def test_wait_frees_a_recursive_lock_fully_and_takes_it_as_often(mp):
    cond = mp.Condition()

    def wait():
        with cond, cond, cond:
            result = cond.wait(SOON)
            assert Worker(cond.acquire, False).result() is False
        return result

    waiting = Worker(wait).blocked()
    with cond:
        cond.notify()
    assert waiting.result() is True
    assert cond.acquire(False) is True


@pytest.mark.parametrize("kind", ("Lock", "RLock"))
def test_a_condition_uses_the_lock_it_is_given(mp, kind):
    lock = getattr(mp, kind)()
    cond = mp.Condition(lock)
    with cond:
        assert Worker(lock.acquire, False).result() is False
    with lock:
        assert cond.wait(0.01) is False
        cond.notify_all()


@METHODS
def test_two_conditions_share_a_lock(mp):
    lock = mp.RLock()
    first, second = mp.Condition(lock), mp.Condition(lock)
    peer = mp.peer(first=first, second=second)
    peer.first.acquire()
    waiting = peer.begin("first.wait", SOON)
    with lock:
        second.notify_all()
    until_asleep(peer.pid)
    assert not waiting.done()
    with lock:
        first.notify()
    assert waiting.result() is True


@METHODS
def test_wait_for_gives_what_the_predicate_gives(mp):
    cond, value = mp.Condition(), mp.Value("i", 0)
    peer = mp.peer(cond=cond, value=value)
    with cond:
        assert cond.wait_for(lambda: "already") == "already"
        with takes(0.1):
            assert cond.wait_for(lambda: 0, timeout=0.1) == 0
        assert cond.wait_for(lambda: False, timeout=-1) is False

    def until_three():
        with cond:
            return cond.wait_for(lambda: value.value == 3 and "three", timeout=SOON)

    waiting = Worker(until_three).blocked()
    for number in (1, 2, 3):
        assert waiting.is_alive()
        peer.cond.acquire()
        peer.write("value.value", number)
        peer.cond.notify()
        peer.cond.release()
    assert waiting.result() == "three"


# Event


@METHODS
def test_an_event_is_one_flag_for_all_processes(mp):
    event = mp.Event()
    peer = mp.peer(event=event)
    assert event.is_set() is False
    assert peer.event.is_set() is False
    peer.event.set()
    assert event.is_set() is True
    assert event.wait() is True
    assert event.wait(0) is True
    event.clear()
    assert peer.event.is_set() is False
    assert peer.event.wait(0) is False


@METHODS
def test_set_wakes_all_who_wait(mp):
    event = mp.Event()
    peers = [mp.peer(event=event) for _ in range(3)]
    waits = [peer.blocked("event.wait") for peer in peers]
    event.set()
    assert [wait.result() for wait in waits] == [True] * 3


def test_an_event_waits_for_its_timeout_and_gives_the_flag(mp):
    event = mp.Event()
    with takes(0.1):
        assert event.wait(0.1) is False
    with takes(0, 5):
        assert event.wait(-1) is False
        assert event.wait(timeout=0) is False
    event.set()
    event.set()
    assert event.wait(-1) is True
    event.clear()
    event.clear()
    assert event.is_set() is False


# Barrier


@METHODS
def test_a_barrier_lets_all_go_and_numbers_them(mp):
    barrier = mp.Barrier(3)
    peers = [mp.peer(barrier=barrier) for _ in range(2)]
    for _ in range(3):
        waits = [peer.blocked("barrier.wait") for peer in peers]
        assert barrier.n_waiting == 2
        numbers = [barrier.wait(SOON), *(wait.result() for wait in waits)]
        assert sorted(numbers) == [0, 1, 2]
    assert barrier.n_waiting == 0
    assert barrier.parties == 3
    assert barrier.broken is False


def test_a_barrier_of_one_waits_for_nobody(mp):
    barrier = mp.Barrier(1)
    assert barrier.wait() == 0
    assert barrier.wait(0.1) == 0


def test_the_action_is_done_once_by_one_of_them_before_anyone_goes(mp):
    done = mp.Value("i", 0)

    def action():
        done.value += 1

    barrier = mp.Barrier(2, action)
    peer = mp.peer(barrier=barrier, done=done)
    for times in (1, 2):
        waiting = peer.blocked("barrier.wait", SOON)
        assert done.value == times - 1
        assert sorted([barrier.wait(SOON), waiting.result()]) == [0, 1]
        assert done.value == times


@METHODS
def test_abort_ends_the_waiting_with_an_error_until_reset(mp):
    barrier = mp.Barrier(2)
    peer = mp.peer(barrier=barrier)
    waiting = peer.blocked("barrier.wait", SOON)
    barrier.abort()
    with pytest.raises(threading.BrokenBarrierError):
        waiting.result()
    assert barrier.broken is True
    assert peer.read("barrier.broken") is True
    for wait in (barrier.wait, peer.barrier.wait):
        with pytest.raises(threading.BrokenBarrierError):
            wait()
    barrier.reset()
    assert peer.read("barrier.broken") is False
    waiting = peer.begin("barrier.wait", SOON)
    assert sorted([barrier.wait(SOON), waiting.result()]) == [0, 1]


@METHODS
def test_reset_sends_those_who_wait_away(mp):
    barrier = mp.Barrier(3)
    peer = mp.peer(barrier=barrier)
    waiting = peer.blocked("barrier.wait", SOON)
    barrier.reset()
    with pytest.raises(threading.BrokenBarrierError):
        waiting.result()
    assert barrier.broken is False
    assert barrier.n_waiting == 0


@METHODS
def test_a_timeout_breaks_the_barrier_for_all(mp):
    barrier = mp.Barrier(3)
    peer = mp.peer(barrier=barrier)
    waiting = peer.blocked("barrier.wait", SOON)
    with takes(0.1), pytest.raises(threading.BrokenBarrierError):
        barrier.wait(0.1)
    with pytest.raises(threading.BrokenBarrierError):
        waiting.result()
    assert barrier.broken is True


def test_a_barrier_has_a_timeout_of_its_own(mp):
    barrier = mp.Barrier(2, timeout=0.1)
    with takes(0.1), pytest.raises(threading.BrokenBarrierError):
        barrier.wait()


def test_an_action_that_raises_breaks_the_barrier(mp):
    def action():
        raise LookupError("no such thing")

    barrier = mp.Barrier(2, action)
    waiting = Worker(barrier.wait, SOON).blocked()
    errors = []
    for call in (lambda: barrier.wait(SOON), waiting.result):
        with pytest.raises((LookupError, threading.BrokenBarrierError)) as caught:
            call()
        errors.append(caught.type)
    assert sorted(error.__name__ for error in errors) == ["BrokenBarrierError", "LookupError"]
    assert barrier.broken is True
