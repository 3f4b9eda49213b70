"""Lock, RLock, Semaphore, BoundedSemaphore."""

import ctypes
import pickle
from multiprocessing.reduction import ForkingPickler

import children
import pytest
from helpers import SOON, Worker, takes, until_asleep

METHODS = pytest.mark.methods("fork", "spawn")
LOCKS = ("Lock", "RLock", "Semaphore", "BoundedSemaphore")


# What all of them have in common


@pytest.mark.parametrize("kind", LOCKS)
def test_acquire_says_whether_it_got_it(mp, kind):
    lock = getattr(mp, kind)()
    assert lock.acquire() is True
    assert Worker(lock.acquire, False).result() is False
    assert lock.release() is None
    assert Worker(lock.acquire, False).result() is True


@pytest.mark.parametrize("kind", LOCKS)
def test_block_and_timeout_go_by_position_and_by_name(mp, kind):
    lock = getattr(mp, kind)()
    for args, kwargs in (
        ((True, None), {}),
        ((True, 1), {}),
        ((False, None), {}),
        ((), {"block": True, "timeout": 2}),
        ((), {"block": False}),
        ((), {"timeout": None}),
    ):
        assert lock.acquire(*args, **kwargs) is True
        lock.release()


@pytest.mark.parametrize("kind", LOCKS)
def test_a_timeout_is_waited_for_and_no_longer(mp, kind):
    lock = getattr(mp, kind)()
    lock.acquire()
    with takes(0.1):
        assert Worker(lock.acquire, True, 0.1).result() is False
    with takes(0.05):
        assert Worker(lock.acquire, timeout=0.05).result() is False


@pytest.mark.parametrize("kind", LOCKS)
def test_a_negative_timeout_is_none_at_all(mp, kind):
    lock = getattr(mp, kind)()
    assert lock.acquire(True, -1) is True
    with takes(0, 1):
        assert Worker(lock.acquire, True, -5).result() is False
        assert Worker(lock.acquire, timeout=-0.5).result() is False


@pytest.mark.parametrize("kind", LOCKS)
def test_without_block_the_timeout_does_not_matter(mp, kind):
    lock = getattr(mp, kind)()
    lock.acquire()
    with takes(0, 5):
        assert Worker(lock.acquire, False, 10).result() is False


@pytest.mark.parametrize("kind", LOCKS)
def test_a_timeout_that_is_no_number_is_a_type_error(mp, kind):
    lock = getattr(mp, kind)()
    lock.acquire()
    with pytest.raises(TypeError):
        Worker(lock.acquire, True, "soon").result()
    lock.release()
    with pytest.raises(TypeError):
        lock.acquire(True, "soon")
    assert lock.acquire(False) is True


@pytest.mark.parametrize("kind", LOCKS)
def test_with_holds_it_and_gives_true(mp, kind):
    lock = getattr(mp, kind)()
    with lock as got:
        assert got is True
        assert Worker(lock.acquire, False).result() is False
    assert Worker(lock.acquire, False).result() is True


@METHODS
@pytest.mark.parametrize("kind", LOCKS)
def test_it_excludes_another_process(mp, kind):
    lock = getattr(mp, kind)()
    peer = mp.peer(lock=lock)
    assert peer.lock.acquire() is True
    assert lock.acquire(False) is False
    assert lock.acquire(True, 0.05) is False
    peer.lock.release()
    assert lock.acquire(False) is True
    assert peer.lock.acquire(False) is False


@METHODS
@pytest.mark.parametrize("kind", LOCKS)
def test_who_waits_in_another_process_gets_it(mp, kind):
    lock = getattr(mp, kind)()
    lock.acquire()
    peer = mp.peer(lock=lock)
    waiting = peer.blocked("lock.acquire", True, SOON)
    lock.release()
    assert waiting.result() is True


@pytest.mark.methods("fork", "spawn", "forkserver")
def test_increments_under_a_lock_are_all_counted(mp):
    lock, counter = mp.Lock(), mp.RawValue(ctypes.c_longlong, 0)
    processes = [mp.start(children.increment, lock, counter, 1000) for _ in range(3)]
    for process in processes:
        process.join(SOON)
        assert process.exitcode == 0
    assert counter.value == 3000


@pytest.mark.parametrize("kind", (*LOCKS, "Condition", "Event"))
def test_it_is_pickled_for_a_process_being_started_only(mp, kind):
    lock = getattr(mp, kind)()
    for dumps in (pickle.dumps, ForkingPickler.dumps):
        with pytest.raises(RuntimeError, match="should only be shared between processes"):
            dumps(lock)


@METHODS
def test_a_child_can_hand_it_on_to_its_own_child(mp):
    lock, queue = mp.Lock(), mp.SimpleQueue()
    lock.acquire()
    mp.start(children.hand_on, mp.name, mp.method, 2, children.try_to_acquire, lock, queue)
    assert queue.get() is False


# Lock


@METHODS
def test_any_process_may_release_a_lock(mp):
    lock = mp.Lock()
    peer = mp.peer(lock=lock)
    lock.acquire()
    peer.lock.release()
    assert lock.acquire(False) is True


def test_any_thread_may_release_a_lock(mp):
    lock = mp.Lock()
    lock.acquire()
    Worker(lock.release).result()
    assert lock.acquire(False) is True


def test_releasing_a_lock_that_is_free_is_a_value_error(mp):
    lock = mp.Lock()
    with pytest.raises(ValueError):
        lock.release()
    lock.acquire()
    lock.release()
    with pytest.raises(ValueError):
        lock.release()
    assert lock.acquire(False) is True
    assert lock.acquire(False) is False


def test_a_lock_is_not_recursive(mp):
    lock = mp.Lock()
    lock.acquire()
    assert lock.acquire(False) is False
    with takes(0.05):
        assert lock.acquire(timeout=0.05) is False


# RLock


def test_an_rlock_is_free_after_as_many_releases(mp):
    lock = mp.RLock()
    for _ in range(3):
        assert lock.acquire() is True
    for _ in range(3):
        assert Worker(lock.acquire, False).result() is False
        lock.release()
    assert Worker(lock.acquire, False).result() is True


def test_releasing_an_rlock_that_is_free_is_an_assertion_error(mp):
    lock = mp.RLock()
    with pytest.raises(AssertionError):
        lock.release()
    with lock:
        pass
    with pytest.raises(AssertionError):
        lock.release()


def test_another_thread_may_not_release_an_rlock(mp):
    lock = mp.RLock()
    with lock:
        with pytest.raises(AssertionError):
            Worker(lock.release).result()
        assert Worker(lock.acquire, False).result() is False


@METHODS
def test_another_process_may_not_release_an_rlock(mp):
    lock = mp.RLock()
    peer = mp.peer(lock=lock)
    with lock:
        with pytest.raises(AssertionError):
            peer.lock.release()
        assert peer.lock.acquire(False) is False
    assert peer.lock.acquire() is True


def test_an_rlock_held_at_a_fork_stays_the_parents_alone(mp):
    lock = mp.RLock()
    lock.acquire()
    lock.acquire()
    peer = mp.peer(lock=lock)
    assert peer.lock.acquire(False) is False
    with pytest.raises(AssertionError):
        peer.lock.release()
    waiting = peer.blocked("lock.acquire", True, SOON)
    lock.release()
    until_asleep(peer.pid)
    assert not waiting.done()
    lock.release()
    assert waiting.result() is True
    peer.lock.release()
    with pytest.raises(AssertionError):
        peer.lock.release()


# Semaphores


@pytest.mark.parametrize("kind", ("Semaphore", "BoundedSemaphore"))
def test_a_semaphore_counts_down_to_zero(mp, kind):
    semaphore = getattr(mp, kind)(3)
    for left in (2, 1, 0):
        assert semaphore.acquire(False) is True
        assert semaphore.get_value() == left
    assert semaphore.acquire(False) is False
    semaphore.release()
    assert semaphore.get_value() == 1


def test_a_semaphore_may_be_released_beyond_its_start(mp):
    semaphore = mp.Semaphore(0)
    for value in (1, 2, 3):
        semaphore.release()
        assert semaphore.get_value() == value


def test_a_bounded_semaphore_may_not(mp):
    semaphore = mp.BoundedSemaphore(2)
    with pytest.raises(ValueError):
        semaphore.release()
    semaphore.acquire()
    semaphore.release()
    with pytest.raises(ValueError):
        semaphore.release()
    assert semaphore.get_value() == 2


@METHODS
def test_the_bound_holds_in_every_process(mp):
    semaphore = mp.BoundedSemaphore(1)
    peer = mp.peer(semaphore=semaphore)
    with pytest.raises(ValueError):
        peer.semaphore.release()
    semaphore.acquire()
    peer.semaphore.release()
    with pytest.raises(ValueError):
        peer.semaphore.release()
    assert semaphore.get_value() == 1


@pytest.mark.parametrize("kind", ("Semaphore", "BoundedSemaphore"))
def test_a_semaphore_does_not_start_below_zero(mp, kind):
    with pytest.raises((ValueError, OSError)):
        getattr(mp, kind)(-1)


@METHODS
def test_a_semaphore_is_one_count_for_all_processes(mp):
    semaphore = mp.Semaphore(2)
    peer = mp.peer(semaphore=semaphore)
    assert peer.semaphore.acquire() is True
    assert semaphore.get_value() == 1
    assert semaphore.acquire(False) is True
    assert peer.semaphore.acquire(False) is False
    waiting = peer.blocked("semaphore.acquire")
    semaphore.release()
    assert waiting.result() is True
    assert semaphore.get_value() == 0


# What the standard library's own code asks of them


def test_the_pieces_that_executors_look_at_are_there(mp):
    semaphore = mp.BoundedSemaphore(2)
    assert semaphore._semlock._get_value() == 2
    assert not semaphore._semlock._is_zero()
    semaphore.acquire()
    semaphore.acquire()
    assert semaphore._semlock._is_zero()
    lock = mp.RLock()
    assert not lock._semlock._is_mine()
    lock.acquire()
    lock.acquire()
    assert lock._semlock._is_mine()
    assert lock._semlock._count() == 2


@pytest.mark.parametrize("kind", LOCKS)
def test_its_repr_names_it(mp, kind):
    assert repr(getattr(mp, kind)()).startswith(f"<{kind}(")


# Places that one process takes and another gives back


@pytest.mark.methods("fork", "spawn", "forkserver")
def test_places_of_a_process_that_has_ended_are_given_back_by_another(mp):
    places = mp.BoundedSemaphore(3)
    mp.start(children.take_places, places, 3).join()
    assert not places.acquire(timeout=0.3), "they came back by themselves"
    peer = mp.peer(places=places)
    for _ in range(3):
        peer.places.release()
    with pytest.raises(ValueError):
        places.release()
    assert all(places.acquire(False) for _ in range(3)) and not places.acquire(False)


def test_a_process_that_failed_has_ended_too(mp):
    places = mp.BoundedSemaphore(1)
    process = mp.start(children.take_places, places, 1, "fail")
    process.join()
    assert process.exitcode == 1 and not places.acquire(timeout=0.2)
    places.release()
    assert places.acquire(False)


@pytest.mark.only("slipring")
@pytest.mark.methods("fork", "spawn", "forkserver")
def test_only_a_killed_process_s_places_come_back(mp):
    places = mp.BoundedSemaphore(4)
    mp.start(children.take_places, places, 2).join()
    peer = mp.peer(places=places)
    assert peer.places.acquire() and peer.places.acquire()
    peer.kill()
    assert places.acquire(timeout=5) and places.acquire(timeout=5)
    assert not places.acquire(timeout=0.3)
    for _ in range(4):
        places.release()
    with pytest.raises(ValueError):
        places.release()


def test_producers_take_places_and_consumers_give_them_back(mp):
    places, items = mp.BoundedSemaphore(5), mp.Queue()
    producers = [mp.start(children.take_and_put, places, items, 40) for _ in range(2)]
    consumers = [mp.start(children.get_and_release, places, items) for _ in range(2)]
    for producer in producers:
        producer.join()
    for _ in consumers:
        items.put(None)
    for consumer in consumers:
        consumer.join()
        assert consumer.exitcode == 0
    assert all(places.acquire(timeout=1) for _ in range(5)) and not places.acquire(False)
