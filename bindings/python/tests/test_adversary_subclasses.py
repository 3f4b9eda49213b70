"""Subclasses of everything, as programs for multiprocessing have them: with an `__init__` of their own."""

import pytest

pytest.importorskip("slipring")


def make_all(mp, ctx):
    """Objects of subclasses whose arguments are not those of their bases."""
    locks, queues = mp.submodule("synchronize"), mp.submodule("queues")

    class Tagged:
        def __init__(self, tag, *args, **options):
            super().__init__(*args, **options, ctx=ctx)
            self.tag = tag

    made = {}
    for module, names in (
        (locks, {"Lock": (), "RLock": (), "Event": (), "Semaphore": (3,), "BoundedSemaphore": (3,), "Condition": ()}),
        (locks, {"Barrier": (2,)}),
        (queues, {"Queue": (5,), "JoinableQueue": (5,)}),
    ):
        for name, args in names.items():
            cls = type(f"Tagged{name}", (Tagged, getattr(module, name)), {"__module__": __name__})
            globals()[cls.__name__] = cls
            made[name] = cls("tag", *args)
    return made


def test_subclasses_have_arguments_of_their_own(mp):
    made = make_all(mp, mp.context)
    assert all(one.tag == "tag" for one in made.values())
    assert (made["Semaphore"].get_value(), made["BoundedSemaphore"].get_value()) == (3, 3)
    assert made["Barrier"].parties == 2
    with made["Lock"], made["RLock"], made["RLock"]:
        assert not made["Lock"].acquire(False)
    with pytest.raises(ValueError):
        made["BoundedSemaphore"].release()
    with made["Condition"]:
        assert not made["Condition"].wait(0.01)
    made["Event"].set()
    assert made["Event"].is_set()
    for _ in range(5):
        made["Queue"].put(1)
    assert made["Queue"].full()


def in_another_process(made, results):
    made["Event"].wait()
    results.put(
        [
            made["Lock"].acquire(False),
            made["Semaphore"].get_value(),
            made["BoundedSemaphore"].get_value(),
            made["Barrier"].parties,
            [type(one).__name__ for one in made.values()],
        ]
    )
    made["Barrier"].wait(20)


@pytest.mark.only("slipring")
def test_subclasses_go_to_other_processes(mp):
    made = make_all(mp, mp.context)
    results = mp.Queue()
    process = mp.start(in_another_process, made, results)
    made["Lock"].acquire()
    made["Event"].set()
    *found, names = results.get(timeout=20)
    assert found == [False, 3, 3, 2]
    assert names == [type(one).__name__ for one in made.values()]
    made["Barrier"].wait(20)
    process.join()
    assert process.exitcode == 0


class MyLock(__import__("slipring.synchronize").synchronize.Lock):
    def __init__(self, tag):
        super().__init__()
        self.tag = tag


class MyCondition(__import__("slipring.synchronize").synchronize.Condition):
    def __init__(self, tag):
        super().__init__(MyLock(tag))
        self.tag = tag


class MyBarrier(__import__("slipring.synchronize").synchronize.Barrier):
    def __init__(self, tag):
        super().__init__(2)
        self.tag = tag


def tell_tags(objects, results):
    with objects[0]:
        pass
    with objects[1]:
        objects[1].notify_all()
    objects[2].wait(20)
    results.put([(type(one).__name__, one.tag) for one in objects])


@pytest.mark.only("slipring")
@pytest.mark.methods("fork", "spawn", "forkserver")
def test_subclasses_keep_their_attributes_on_the_way(mp):
    objects, results = [MyLock("a"), MyCondition("b"), MyBarrier("c")], mp.Queue()
    process = mp.start(tell_tags, objects, results)
    objects[2].wait(20)
    assert results.get(timeout=20) == [("MyLock", "a"), ("MyCondition", "b"), ("MyBarrier", "c")]
    process.join()


@pytest.mark.only("slipring")
def test_an_object_that_was_never_made_is_a_plain_one_or_says_so(mp):
    locks = mp.submodule("synchronize")
    with locks.Lock.__new__(locks.Lock), locks.RLock.__new__(locks.RLock, "odd", odd=1):
        pass
    barrier = locks.Barrier.__new__(locks.Barrier)
    for call in barrier.wait, barrier.abort, barrier.reset, lambda: barrier.parties:
        with pytest.raises(RuntimeError, match="__init__"):
            call()
    with pytest.raises(TypeError):
        locks.Lock("odd", odd=1)
    with pytest.raises(TypeError):
        locks.Barrier()
