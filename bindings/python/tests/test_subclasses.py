"""Subclasses: what they may call their own, and which of their methods the others go through."""

import importlib
import multiprocessing
import queue as standard
import sys
import threading
import time

import pytest
import slipring

METHODS = pytest.mark.methods("fork", "spawn", "forkserver")

KINDS = {
    "Queue": (),
    "JoinableQueue": (),
    "SimpleQueue": (),
    "Lock": (),
    "RLock": (),
    "Semaphore": (1,),
    "BoundedSemaphore": (1,),
    "Condition": (),
    "Event": (),
    "Barrier": (1,),
}


class Trap:
    """Tells when somebody uses it who is not the subclass."""

    def __get__(self, instance, owner):
        raise RuntimeError("this is the subclass's own")


def own_names(kind, args):
    """What our class has and multiprocessing's has not: a subclass that was written for that one may have any of it."""
    ours = getattr(slipring, kind)(*args)
    theirs = getattr(multiprocessing, kind)(*args)
    names = set(dir(ours)) - set(dir(theirs))
    return sorted(name for name in names if not name.startswith(("__", "_slipring_")))


def use(thing):
    """All that there is in multiprocessing's class."""
    if hasattr(thing, "put"):
        thing.put([1])
        assert not thing.empty() and thing.get() == [1] and thing.empty()
        if hasattr(thing, "task_done"):
            thing.task_done()
            thing.join()
        repr(thing)
    elif hasattr(thing, "notify"):
        with thing:
            assert thing.wait_for(lambda: True) and not thing.wait(0)
            thing.notify()
            thing.notify_all()
    elif hasattr(thing, "acquire"):
        assert thing.acquire() and not (isinstance(thing, slipring.synchronize.Lock) and thing.acquire(False))
        thing.release()
        with thing:
            repr(thing)
        changed = slipring.Condition(thing) if "Lock" in type(thing).__mro__[1].__name__ else None
        if changed:
            with changed:
                assert not changed.wait(0.001)
                changed.notify_all()
    elif hasattr(thing, "is_set"):
        assert not thing.wait(0)
        thing.set()
        assert thing.wait() and thing.is_set()
        thing.clear()
    else:
        assert thing.wait() == 0 and not thing.broken and thing.parties == 1 and thing.n_waiting == 0
        thing.reset()


def trapped(kind):
    """A subclass to which all those names mean something else."""
    base = getattr(importlib.import_module("slipring." + ("queues" if "Queue" in kind else "synchronize")), kind)
    return type(f"Trapped{kind}", (base,), {name: Trap() for name in own_names(kind, KINDS[kind])})


# Children look for them here.
for _kind in KINDS:
    globals()[f"Trapped{_kind}"] = trapped(_kind)


def answer(thing, results):
    use(thing)
    results.put("used")


@METHODS
@pytest.mark.only("slipring")
@pytest.mark.parametrize("kind", KINDS)
def test_names_that_multiprocessing_does_not_use_are_the_subclass_s(mp, kind):
    thing = globals()[f"Trapped{kind}"](*KINDS[kind], ctx=mp.context)
    results = mp.Queue()
    use(thing)
    process = mp.start(answer, thing, results)
    assert results.get(timeout=20) == "used"
    process.join()
    use(thing)


@pytest.mark.parametrize("kind", KINDS)
def test_an_object_takes_any_attribute_that_multiprocessing_does_not_have(mp, kind):
    thing = getattr(mp, kind)(*KINDS[kind])
    for name in [*own_names(kind, KINDS[kind]), "label", "name", "_name", "_id", "_open"]:
        setattr(thing, name, f"mine: {name}")
        assert getattr(thing, name) == f"mine: {name}"
    if mp.ours:
        use(thing)


@METHODS
def test_a_label_goes_along_with_a_lock_or_is_left_as_multiprocessing_leaves_it(mp):
    event = mp.Event()
    event.name = "stop"
    peer = mp.peer(event=event)
    assert peer.read("event.name") == "stop"


@pytest.mark.only("slipring")
def test_names_of_ours_still_say_what_an_object_is_called(mp):
    name = f"subclass-test-{time.monotonic_ns()}"
    queue = slipring.Queue(name=name)
    assert queue.name == name and slipring.Queue().name is None
    event = slipring.Event(name=name + ".event")
    assert event.name.endswith(".event") and slipring.Lock().name is None
    event.name = "mine"
    again = mp.peer(event=event)
    event.set()
    assert again.event.is_set() and again.read("event.name") == "mine"


# Methods that go through others


def logged(mp, kind, *names):
    """A subclass that notes the calls of these methods."""
    base = getattr(mp.submodule("queues" if "Queue" in kind else "synchronize"), kind)

    def note(name):
        def method(self, *args, **options):
            self.calls.append((name, *args))
            return getattr(base, name)(self, *args, **options)

        return method

    cls = type(f"Logged{kind}", (base,), {name: note(name) for name in names})
    cls.calls = []
    return cls


@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue"])
def test_get_nowait_and_put_nowait_go_through_get_and_put(mp, kind):
    queue = logged(mp, kind, "get", "put")(ctx=mp.context)
    queue.put_nowait(7)
    time.sleep(0.1)
    assert queue.get_nowait() == 7
    with pytest.raises(standard.Empty):
        queue.get_nowait()
    assert queue.calls == [("put", 7, False), ("get", False), ("get", False)]


def test_a_method_put_in_place_of_one_object_s_is_called(mp):
    queue = type("Mine", (mp.submodule("queues").Queue,), {})(ctx=mp.context)
    queue.put = lambda obj, block=True: calls.append((obj, block))
    calls = []
    queue.put_nowait(1)
    assert calls == [(1, False)]


def test_wait_for_and_notify_all_go_through_wait_and_notify(mp):
    condition = logged(mp, "Condition", "wait", "notify")(mp.Lock(), ctx=mp.context)
    answers = iter([0, 0, "yes"])
    with condition:
        assert condition.wait_for(lambda: next(answers), 0.2) == "yes" or condition.calls
        condition.notify_all()
        assert not condition.wait_for(lambda: False, 0.01)
    names = [name for name, *_ in condition.calls]
    assert names[0] == "wait" and names[-1] == "wait" and names.count("notify") == 1
    assert ("notify", sys.maxsize) in condition.calls or not mp.ours


def test_wait_for_of_a_subclass_is_woken_and_keeps_its_time(mp):
    condition = logged(mp, "Condition", "wait")(ctx=mp.context)
    ready = []

    def change():
        with condition:
            ready.append(1)
            condition.notify_all()

    threading.Timer(0.1, change).start()
    with condition:
        assert condition.wait_for(lambda: ready, 10)
        start = time.monotonic()
        assert not condition.wait_for(lambda: False, 0.1)
        assert 0.09 < time.monotonic() - start < 2
    assert condition.calls[0][0] == "wait"


@pytest.mark.only("slipring")
def test_aput_of_a_subclass_that_wraps_goes_through_put(mp):
    import asyncio

    class Wrapping(mp.submodule("queues").Queue):
        def put(self, obj, block=True, timeout=None):
            super().put(("wrapped", obj), block, timeout)

        def get(self, block=True, timeout=None):
            tag, obj = super().get(block, timeout)
            assert tag == "wrapped"
            return obj

    async def main():
        queue = Wrapping(1, ctx=mp.context)
        await queue.aput(1)
        putting = asyncio.ensure_future(queue.aput(2))
        await asyncio.sleep(0.05)
        assert await queue.aget() == 1
        await putting
        return await queue.aget()

    assert asyncio.run(main()) == 2
