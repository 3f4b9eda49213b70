"""Queues between processes, as `multiprocessing.queues` has them.

    >>> from slipring.queues import Queue
    >>> q = Queue(maxsize=10)
    >>> q.put({"id": 1})
    >>> q.qsize(), q.get()
    (1, {'id': 1})

What is different: what is put is in the queue when `put` returns, so every process finds it, and the one that put it
may end. There is no feeder thread; an object that cannot be pickled is `put`'s error. A process that is killed holds
nobody up, and a `JoinableQueue` gives its tasks to others.
"""

from __future__ import annotations

import weakref
from queue import Empty, Full
from typing import Any, TypeVar

from slipring import _native
from slipring._insides import Replacing
from slipring._waiting import Readiness
from slipring.reduction import assert_spawning
from slipring.simple import SimpleQueue

__all__ = ["Empty", "Full", "JoinableQueue", "Queue", "SimpleQueue"]

_T = TypeVar("_T")


class Queue(_native.Queue[_T], metaclass=Replacing):
    """A queue of objects for any number of producers and consumers, in any number of processes.

    It holds `maxsize` objects, or as many as there is memory for if that is 0. With a `name` it is the same queue in
    every program that uses this name, and `maxsize` counts for whoever comes first.

    >>> q = Queue()
    >>> q.put_many(range(5))
    5
    >>> q.get(), q.get_many(max=10)
    (0, [1, 2, 3, 4])
    """

    _name: str | None = None

    def __init__(self, maxsize: int = 0, *, ctx: Any = None, name: str | None = None) -> None:
        self._begin(maxsize, name)
        self._open(maxsize, name)

    def _begin(self, maxsize: int, name: str | None) -> None:
        self._maxsize = maxsize
        self._name = name
        self._readiness: dict[str, Readiness] = {}

    @property
    def name(self) -> str | None:
        """Its name, if it has one."""
        return self._name

    def __getstate__(self) -> tuple[Any, ...]:
        if self._name is not None:
            return self._maxsize, self._name, None
        assert_spawning(self)
        passage = self._passage()
        return self._maxsize, None, passage

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        maxsize, name, passage = state
        self._begin(maxsize, name)
        if passage is None:
            self._open(maxsize, name)
        else:
            self._arrive(passage)

    def __repr__(self) -> str:
        name = "" if self._name is None else f" {self._name!r}"
        closed = " closed" if self._closed else ""
        return f"<slipring.{type(self).__name__}{name}{closed} at {id(self):#x}>"

    @staticmethod
    def _on_queue_feeder_error(e: Exception, obj: Any) -> None:
        """Called by `put` with an object that cannot be pickled: raises the error. Override it to do something else."""
        raise e

    def loan_array(self, shape: Any, dtype: Any = float) -> Any:
        """A numpy array in shared memory, to be filled and put into this queue: nothing is copied then.

        `put` of this very array, not of a part of it, hands its memory over. Afterwards it is the receiver's: the array
        here can no longer be written to, and shows whatever becomes of that memory. A child that is forked before that
        shares it. What was never put is given back with the array.

        >>> q = Queue()
        >>> frame = q.loan_array((480, 640), "uint8")
        >>> frame[:] = 7
        >>> q.put(frame)
        >>> int(q.get().max())
        7
        """
        import numpy

        template = numpy.empty(shape, dtype)
        loaned = self._loan(template)
        array = numpy.ndarray(template.shape, template.dtype, buffer=loaned)
        loaned._is_of(array)
        return array

    async def aget(self) -> _T:
        """Takes the oldest object out, waiting for one in an asyncio program. A cancelled call takes nothing.

        >>> import asyncio
        >>> q = Queue()
        >>> async def echo():
        ...     await q.aput("hello")
        ...     return await q.aget()
        >>> asyncio.run(echo())
        'hello'
        """
        while True:
            try:
                return self.get_nowait()
            except Empty:
                # Nothing is taken before this goes on, so there is nothing to lose when it is cancelled.
                await self._ready_to("get").wait()

    async def aput(self, obj: _T) -> None:
        """Puts an object into the queue, waiting for room in an asyncio program. A cancelled call puts nothing."""
        try:
            return self.put_nowait(obj)
        except Full:
            # As it is now.
            is_object = type(obj) is not bytes
            message = _native.encode_message(obj) if is_object else obj
        while True:
            await self._ready_to("put").wait()
            try:
                return self._put_message(message, is_object)
            except Full:
                pass

    def _ready_to(self, act: str) -> Readiness:
        readiness = self._readiness.get(act)
        if readiness is None:
            # It must not keep the queue, which ends with the last reference.
            me = weakref.ref(self)
            if act == "get":
                readiness = Readiness(lambda: me().fileno(), lambda: me()._closed or me()._has_item())
            else:
                readiness = Readiness(lambda: me()._room_fileno(), lambda: me()._closed or me()._has_room())
            self._readiness[act] = readiness
        return readiness

    def close(self) -> None:
        """Says that this process uses the queue no more. What it has put stays, and other processes go on."""
        super().close()
        # Before `__init__` nobody waits.
        for readiness in self.__dict__.get("_readiness", {}).values():
            readiness.end()


class JoinableQueue(Queue[_T]):
    """A queue of tasks: `join` waits until everything that was put was worked on.

    Whoever gets an object calls `task_done` when the work on it is done. If the worker dies before that, another one
    gets the object. What was delivered `max_deliveries` times and never done is set aside: it counts as done, and
    `dead_letters()` gives it. At most `max_leases` objects, 65536 or less, are in somebody's hands or set aside at a
    time: beyond that `get` raises an error.

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
        ctx: Any = None,
        name: str | None = None,
        max_deliveries: int | None = 10,
        max_leases: int = 4096,
    ) -> None:
        self._begin(maxsize, name)
        self._leases = max_deliveries, max_leases
        self._open(maxsize, name, *self._leases)

    task_done = _native.Queue._task_done

    def join(self) -> None:
        """Waits until `task_done` was called for everything that was put."""
        self._join()

    def dead_letters(self) -> list[tuple[_T, int]]:
        """Takes out what was set aside: each object with how often it was delivered.

        Looks for dead workers first, so what one of them had in its hands for the last time is among it.
        """
        _native.reap()
        self._join(0.0)
        letters = []
        while (letter := self._take_dead_letter()) is not None:
            letters.append(letter)
        return letters

    def __getstate__(self) -> tuple[Any, ...]:
        return *super().__getstate__(), self._leases

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        *state, self._leases = state
        maxsize, name, passage = state
        self._begin(maxsize, name)
        if passage is None:
            self._open(maxsize, name, *self._leases)
        else:
            self._arrive(passage)
