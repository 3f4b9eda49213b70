"""What a pool makes of errors in callbacks and initializers, and of exceptions that cannot be sent."""

import operator
import os
import signal
import sys
import threading
import time
import traceback

import pytest
import slipring._workers
import slipring.pool
from helpers import SOON, eventually

pytestmark = [pytest.mark.methods("fork", "spawn", "forkserver"), pytest.mark.only("slipring")]


@pytest.fixture
def shown(monkeypatch):
    """The exceptions that threads have shown."""
    shown = []
    monkeypatch.setattr(threading, "excepthook", lambda args: shown.append(args.exc_value))
    return shown


def ends(pool):
    """Closes a pool, and waits until it has ended."""
    pool.close()
    joined = threading.Thread(target=pool.join, daemon=True)
    joined.start()
    joined.join(SOON)
    return not joined.is_alive()


# Callbacks


def fail(*_):
    raise ValueError("a bug in the callback")


def exit(*_):
    raise SystemExit(3)


@pytest.mark.parametrize("callback", [fail, exit])
def test_a_callback_that_raises_stops_nothing(mp, shown, callback):
    pool = mp.Pool(2)
    both = {"callback": callback, "error_callback": callback}
    assert pool.apply_async(operator.neg, (1,), **both).get(SOON) == -1
    with pytest.raises(ZeroDivisionError):
        pool.apply_async(operator.truediv, (1, 0), **both).get(SOON)
    assert pool.map_async(operator.neg, range(9), 2, **both).get(SOON) == [-n for n in range(9)]
    with pytest.raises(TypeError):
        pool.starmap_async(operator.neg, [(1,), (1, 2)], 1, **both).get(SOON)
    # One whose arguments cannot be pickled is told by another thread.
    with pytest.raises(Exception, match="(?i)can't (pickle|get local object)"):
        pool.apply_async(operator.neg, (lambda: 0,), **both).get(SOON)
    assert pool.map(operator.neg, range(50), 1) == [-n for n in range(50)]
    assert [type(error) for error in shown] == [ValueError if callback is fail else SystemExit] * 5
    assert ends(pool)


SHOWN = """
    import slipring

    def fail(value):
        raise ValueError("a bug in the callback")

    with slipring.Pool(1) as pool:
        print(pool.apply_async(abs, (-1,), callback=fail).get())
"""


def test_it_is_shown_as_errors_in_threads_are(both):
    _, (code, printed, complaint) = both("program.py", files={"program.py": SHOWN})
    assert (code, printed) == (0, "1\n")
    assert complaint.startswith("Exception in thread ")
    assert "in fail" in complaint
    assert complaint.endswith("ValueError: a bug in the callback\n")


# Initializers


def count_and(counter, how):
    with counter.get_lock():
        counter.value += 1
    how()


def no_licence():
    raise RuntimeError("no licence")


def leave():
    sys.exit("no licence")


def vanish():
    os._exit(7)


def crash():
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("processes", [1, 4])
@pytest.mark.parametrize("how", [no_licence, leave])
def test_an_initializer_that_always_raises_breaks_the_pool_soon(mp, processes, how):
    counter = mp.Value("i", 0)
    pool = mp.Pool(processes, count_and, (counter, how))
    calls = [pool.apply_async(operator.neg, (1,)), pool.map_async(operator.neg, range(10), 1)]
    lazily = pool.imap_unordered(operator.neg, range(3))
    for call in calls:
        with pytest.raises(slipring.PoolBroken, match=r"the initializer raised .*no licence") as caught:
            call.get(SOON)
        said = "".join(traceback.format_exception(caught.value))
        assert f"in {how.__name__}" in said
        assert "in count_and" in said
        assert "in work" not in said
    for _ in range(3):
        with pytest.raises(slipring.PoolBroken):
            lazily.next(SOON)
    # Later calls, too; and no more workers.
    started = counter.value
    for call in (pool.apply_async, pool.map_async):
        with pytest.raises(slipring.PoolBroken, match="no licence"):
            call(operator.neg, (1,)).get(SOON)
    assert pool.map(operator.neg, []) == []
    assert counter.value == started <= processes + 4
    assert ends(pool)


@pytest.mark.parametrize(("how", "said"), [(vanish, "exited with code 7"), (crash, "was killed by SIGKILL")])
def test_one_that_ends_the_worker_breaks_it_as_well(mp, how, said):
    counter = mp.Value("i", 0)
    with mp.Pool(2, count_and, (counter, how)) as pool:
        with pytest.raises(slipring.PoolBroken, match=said):
            pool.apply_async(operator.neg, (1,)).get(SOON)
        assert counter.value <= 25


def a_pool_whose_workers_cannot_start(method):
    with slipring.get_context(method).Pool(2) as pool:
        pool.map(operator.neg, [1])


def test_workers_that_end_before_they_come_to_the_initializer_break_it_as_well(mp, both):
    if mp.method != "spawn":
        pytest.skip("only a new interpreter runs the program again")
    text = "import slipring\nslipring.get_context('spawn').Pool(2).map(abs, [1])\n"
    _, (code, _, complaint) = both("program.py", files={"program.py": text})
    assert code == 1
    assert complaint.rstrip().splitlines()[-1].startswith("slipring.pool.PoolBroken: ")


def only_some(counter, allowed):
    with counter.get_lock():
        counter.value += 1
        if counter.value > allowed.value:
            raise RuntimeError("no licence")


def test_those_who_are_ready_do_the_work_and_the_others_come_when_they_can(mp, monkeypatch):
    monkeypatch.setattr(slipring._workers, "_PAUSE", 0.3)
    counter, allowed = mp.Value("i", 0), mp.Value("i", 1)
    with mp.Pool(3, only_some, (counter, allowed)) as pool:
        eventually(lambda: counter.value >= 4)
        assert pool.map(operator.neg, range(20), 1) == [-n for n in range(20)]
        eventually(lambda: counter.value >= 6)
        started = counter.value
        time.sleep(1)
        # Once in a while only.
        assert counter.value <= started + 6
        allowed.value = 1000
        eventually(lambda: len(pool._pool) == 3)
        assert pool.map(operator.neg, range(20), 1) == [-n for n in range(20)]


def test_a_few_failures_break_nothing(mp):
    counter, allowed = mp.Value("i", 0), mp.Value("i", 0)
    allowed.value = 1
    with mp.Pool(1, only_some, (counter, allowed), maxtasksperchild=1) as pool:
        assert pool.apply(operator.neg, (1,)) == -1
        # The second worker fails, and then there is a licence again.
        eventually(lambda: counter.value >= 2)
        allowed.value = 1000
        assert [pool.apply_async(operator.neg, (n,)).get(SOON) for n in range(5)] == [0, -1, -2, -3, -4]


# Exceptions that cannot be sent


class Refused(Exception):
    """Takes other arguments than it gives to Exception: it cannot be unpickled."""

    def __init__(self, order, shop):
        super().__init__(f"order {order} refused by {shop}")


class Holding(Exception):
    """Cannot be pickled."""

    def __init__(self, text):
        super().__init__(text)
        self.held = threading.Lock()


class Mute(Exception):
    def __str__(self):
        raise ValueError

    def __reduce__(self):
        raise ValueError


def refuse(kind):
    raise {"refused": lambda: Refused(3, "the corner shop"), "holding": lambda: Holding("held"), "mute": Mute}[kind]()


@pytest.mark.parametrize(
    ("kind", "said", "why"),
    [
        ("refused", "Refused: order 3 refused by the corner shop", "cannot be unpickled: TypeError: .*missing 1"),
        ("holding", "Holding: held", "cannot be pickled"),
        ("mute", "Mute: ", "cannot be pickled"),
    ],
)
def test_an_exception_that_cannot_be_sent_says_what_it_said(mp, kind, said, why):
    with mp.Pool(2) as pool:
        for call in (pool.apply_async(refuse, (kind,)), pool.map_async(refuse, [kind, kind], 1)):
            with pytest.raises(slipring.pool.UnreadableResult, match=f"{said}.*{why}") as caught:
                call.get(SOON)
            assert isinstance(caught.value, slipring.pool.MaybeEncodingError)
            printed = "".join(traceback.format_exception(caught.value))
            assert "in refuse" in printed
            assert said in caught.value.value
        lazily = pool.imap(refuse, [kind])
        with pytest.raises(slipring.pool.UnreadableResult, match=said):
            lazily.next(SOON)
        assert pool.apply(operator.neg, (1,)) == -1


def returned():
    return Refused(4, "returned")


def test_a_result_that_cannot_be_unpickled_says_why(mp):
    with mp.Pool(1) as pool:
        with pytest.raises(
            slipring.pool.UnreadableResult, match="the task's result cannot be unpickled: TypeErr"
        ) as caught:
            pool.apply_async(returned).get(SOON)
        assert isinstance(caught.value.__cause__, TypeError)
        assert pool.apply(operator.neg, (1,)) == -1


class OneWay:
    """Can be pickled where it was made, and nowhere else."""

    def __init__(self):
        self.pid = os.getpid()

    def __reduce__(self):
        if os.getpid() != self.pid:
            raise ValueError("from here it goes nowhere")
        return OneWay.again, (self.pid,)

    @staticmethod
    def again(pid):
        new = OneWay()
        new.pid = 0
        return new


def end_with(_):
    os._exit(5)


def test_a_death_is_told_where_the_task_cannot_be(mp):
    with mp.Pool(1) as pool:
        with pytest.raises(Exception, match="exited with code 5"):
            pool.apply_async(end_with, (OneWay(),)).get(SOON)
        assert pool.apply(operator.neg, (1,)) == -1
