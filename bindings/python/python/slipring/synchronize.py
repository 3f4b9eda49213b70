"""Locks, semaphores, events, conditions and barriers, as `multiprocessing.synchronize` has them.

    >>> from slipring.synchronize import Lock
    >>> with Lock() as taken:
    ...     taken
    True

What is different: whoever is killed while it has a `Lock`, an `RLock` or places of a `BoundedSemaphore` leaves them to
the next within a fraction of a second; and with `name=` an object is that of all programs which use that name.
"""

from __future__ import annotations

from typing import Any

from slipring._native import BoundedSemaphore, Event, Lock, RLock, Semaphore
from slipring.reduction import assert_spawning, reduce_native

__all__ = ["BoundedSemaphore", "Event", "Lock", "RLock", "Semaphore"]

#: The most that a semaphore can count.
SEM_VALUE_MAX = Semaphore.maxvalue


def _reduce(obj: Any, args: list[Any]) -> tuple[Any, ...]:
    """The `__reduce__` of all classes here: by name, or while a process is being started."""
    if obj.name is not None:
        return _named, (type(obj), args, obj.name)
    assert_spawning(obj)
    return reduce_native(obj)


def _named(cls: type, args: list[Any], name: str) -> Any:
    return cls(*args, name=name)
