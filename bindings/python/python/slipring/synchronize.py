"""Locks, semaphores, events, conditions and barriers, as `multiprocessing.synchronize` has them.

    >>> from slipring.synchronize import Lock
    >>> with Lock() as taken:
    ...     taken
    True

What is different: whoever is killed while it has a `Lock`, an `RLock` or places of a `BoundedSemaphore` leaves them to
the next within a fraction of a second; and with `name=` an object is that of all programs which use that name.
"""

from __future__ import annotations

import os
import weakref
from multiprocessing import util
from typing import Any

from slipring import _native
from slipring._native import BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore
from slipring.reduction import assert_spawning, reduce_native

__all__ = ["Barrier", "BoundedSemaphore", "Condition", "Event", "Lock", "RLock", "Semaphore"]

#: The most that a semaphore can count.
SEM_VALUE_MAX = Semaphore.maxvalue


def _reduce(obj: Any, args: list[Any], name: str | None) -> tuple[Any, ...]:
    """The `__reduce__` of all classes here: by name, or while a process is being started."""
    if name is not None:
        return _named, (type(obj), args, name), vars(obj) or None
    assert_spawning(obj)
    return reduce_native(obj)


def _named(cls: type, args: list[Any], name: str) -> Any:
    return _made(cls, *args, name=name)


def _made(cls: type, *args: Any, **options: Any) -> Any:
    """An object made as the class here makes it, of which `cls` may be a subclass with an `__init__` of its own."""
    obj = cls.__new__(cls)
    base = next(base for base in cls.__mro__ if base in _CLASSES)
    base.__init__(obj, *args, **options)
    return obj


def _reduce_condition(condition: Condition, lock: Any, waiters: Any, name: str | None) -> tuple[Any, ...]:
    """A condition's `__reduce__`. Whoever else has its lock has the same one over there."""
    if name is not None:
        return _named, (type(condition), [lock], name), vars(condition) or None
    assert_spawning(condition)
    return _condition, (type(condition), lock, waiters), vars(condition) or None


def _condition(cls: type, lock: Any, waiters: Any) -> Any:
    return _made(cls, lock, _waiters=waiters)


class Barrier(_native.Barrier):
    """A place where a fixed number of parties meet: all wait until the last has come, again and again.

    Each gets another number from 0 to `parties - 1`; the last one to come runs `action` first. A party that gives up
    breaks the barrier (`threading.BrokenBarrierError`), and so does a process that is killed after it has once been
    here.

    >>> from slipring import Barrier
    >>> alone = Barrier(1, action=lambda: print("all here"))
    >>> alone.wait()
    all here
    0
    """

    def wait(self, timeout: float | None = None) -> int:
        """Comes and waits for the others; returns how many had come before. Giving up breaks the barrier."""
        _attend(self)
        return super().wait(timeout)

    def __reduce__(self) -> tuple[Any, ...]:
        native = _native.Barrier
        action, timeout, name = (shown.__get__(self) for shown in (native._action, native._timeout, native.name))
        if name is not None:
            return _named, (type(self), [self.parties, action, timeout], name), vars(self) or None
        assert_spawning(self)
        _, (cls, boarding, parts), *_ = reduce_native(self)
        return _barrier, (cls, boarding, parts, action, timeout), vars(self) or None

    def __repr__(self) -> str:
        state = "broken" if self.broken else f"waiters={self.n_waiting}/{self.parties}"
        return f"<{type(self).__qualname__} at {id(self):#x}: {state}>"


def _barrier(cls: type, boarding: Any, parts: list[Any], action: Any, timeout: float | None) -> Barrier:
    ((text, fds),) = parts
    return _made(cls, _native.Ticket(boarding, [(text, [fd.detach() for fd in fds])]), action, timeout)


_CLASSES = (Barrier, BoundedSemaphore, Condition, Event, Lock, RLock, Semaphore)


class _Ends:
    """Says at the end of a process, if that is in good order, what a killed one does not say."""

    def __init__(self) -> None:
        self.say_later()
        # What a process was to do at its end a child forgets.
        util.register_after_fork(self, _Ends.say_later)

    def say_later(self) -> None:
        # Places of a killed process come back. Of one that has ended they are what it left for others to release.
        util.Finalize(None, _native.leave_permits, exitpriority=0)


_ends = _Ends()


#: The barriers that this process has been at, and which process that is.
_attended: weakref.WeakSet[Barrier] = weakref.WeakSet()
_attending = 0


def _attend(barrier: Barrier) -> None:
    """Notes that this process is a party: when it ends in good order it says so, which a killed one does not."""
    global _attending
    if _attending != os.getpid():
        _attending = os.getpid()
        _attended.clear()
        util.Finalize(None, _retire, exitpriority=0)
    _attended.add(barrier)


def _retire() -> None:
    for barrier in list(_attended):
        _native.Barrier._retire(barrier)
