"""Queues between processes.

What is put is in the queue when `put` returns: every process finds it, and the one that put it may
end. There is no feeder thread, and no process that is killed holds up the others.
"""

from __future__ import annotations

from queue import Empty, Full
from typing import Any

from slipring import _native

__all__ = ["Empty", "Full", "JoinableQueue", "Queue"]

# How many objects of one JoinableQueue can be in somebody's hands at a time.
_LEASES = 16384


class Queue(_native.Queue):
    """A queue of objects for any number of producers and consumers.

    It holds at most `maxsize` objects, or as many as there is memory for if that is 0. With a `name`
    it is the same queue in every program that uses this name; `maxsize` then counts for whoever comes
    first.

    >>> q = Queue()
    >>> q.put({"id": 1})
    >>> q.get()
    {'id': 1}
    """

    def __init__(self, maxsize: int = 0, *, name: str | None = None, ctx: Any = None) -> None:
        self._maxsize = maxsize
        self._name = name
        self._open(maxsize, name)

    def __repr__(self) -> str:
        name = f" {self._name!r}" if getattr(self, "_name", None) else ""
        state = " closed" if self._closed else ""
        return f"<slipring.{type(self).__name__}{name}{state} at {id(self):#x}>"

    @staticmethod
    def _on_queue_feeder_error(e: Exception, obj: Any) -> None:
        """Called by `put` with an object that cannot be pickled. Override it to do something else than
        raising the error."""
        raise e


class JoinableQueue(Queue):
    """A queue of tasks: `join` waits until everything that was put was worked on.

    Whoever gets an object calls `task_done` when the work is done. If a worker dies before it does,
    another one gets the object. What was delivered `max_deliveries` times and never done is set aside,
    counts as done, and is found in `dead_letters()`.

    >>> q = JoinableQueue()
    >>> q.put("task")
    >>> q.get()
    'task'
    >>> q.task_done()
    >>> q.join()
    """

    def __init__(
        self,
        maxsize: int = 0,
        *,
        name: str | None = None,
        max_deliveries: int | None = 10,
        ctx: Any = None,
    ) -> None:
        self._maxsize = maxsize
        self._name = name
        self._open(maxsize, name, max_deliveries, _LEASES)

    task_done = _native.Queue._task_done

    join = _native.Queue._join

    def dead_letters(self) -> list[tuple[Any, int]]:
        """Takes out the objects that were delivered too often, each with the number of times."""
        letters = []
        while (letter := self._take_dead_letter()) is not None:
            letters.append(letter)
        return letters
