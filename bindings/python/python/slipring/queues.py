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

import functools
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

    # Names that multiprocessing does not use belong to programs. So our attributes have names that no program has, and
    # methods of the native half are called by its class.
    _slipring_name: str | None = None

    def __init__(self, maxsize: int = 0, *, ctx: Any = None, name: str | None = None) -> None:
        _begin(self, maxsize, name)
        _native.Queue._open(self, maxsize, name)

    #: Its name, if it has one.
    name: str | None = _native.Shown(property(lambda self: self._slipring_name, doc="Its name, if it has one."))

    def __getstate__(self) -> tuple[Any, ...]:
        if self._slipring_name is not None:
            return self._maxsize, self._slipring_name, None
        assert_spawning(self)
        return self._maxsize, None, _native.Queue._passage(self)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        maxsize, name, passage = state
        _begin(self, maxsize, name)
        if passage is None:
            _native.Queue._open(self, maxsize, name)
        else:
            _native.Queue._arrive(self, passage)

    def __repr__(self) -> str:
        name = "" if self._slipring_name is None else f" {self._slipring_name!r}"
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
        loaned = _native.Queue._loan(self, template)
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
                await _ready_to(self, "get").wait()

    async def aput(self, obj: _T) -> None:
        """Puts an object into the queue, waiting for room in an asyncio program. A cancelled call puts nothing."""
        try:
            return self.put_nowait(obj)
        except Full:
            if type(self).put is not _native.Queue.put:
                put = functools.partial(self.put_nowait, obj)
            else:
                # As it is now.
                is_object = type(obj) is not bytes
                message = _native.encode_message(obj) if is_object else obj
                put = functools.partial(_native.Queue._put_message, self, message, is_object)
        while True:
            await _ready_to(self, "put").wait()
            try:
                return put()
            except Full:
                pass

    def close(self) -> None:
        """Says that this process uses the queue no more. What it has put stays, and other processes go on."""
        super().close()
        # Before `__init__` nobody waits.
        for readiness in self.__dict__.get("_slipring_readiness", {}).values():
            readiness.end()


def _begin(queue: Queue[Any], maxsize: int, name: str | None) -> None:
    queue._maxsize = maxsize
    queue._slipring_name = name
    queue._slipring_readiness = {}


def _ready_to(queue: Queue[Any], act: str) -> Readiness:
    readiness = queue._slipring_readiness.get(act)
    if readiness is None:
        # It must not keep the queue, which ends with the last reference.
        me, native = weakref.ref(queue), _native.Queue
        if act == "get":
            fileno, is_ready = native.fileno, native._has_item
        else:
            fileno, is_ready = native._room_fileno, native._has_room
        readiness = Readiness(lambda: fileno(me()), lambda: me()._closed or is_ready(me()))
        queue._slipring_readiness[act] = readiness
    return readiness


class JoinableQueue(Queue[_T]):
    """A queue of tasks: `join` waits until everything that was put was worked on.

    Whoever gets an object calls `task_done` when the work on it is done. If the worker dies before that, another one
    gets the object. A process that has no object in hand may call it, too: that counts for the oldest of another's.
    What was delivered `max_deliveries` times and never done is set aside: it counts as done, and `dead_letters()` gives
    it. At most `max_leases` objects, 65536 or less, are in somebody's hands or set aside at a time: beyond that `get`
    raises an error.

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
        _begin(self, maxsize, name)
        self._slipring_leases = max_deliveries, max_leases
        _native.Queue._open(self, maxsize, name, *self._slipring_leases)

    task_done = _native.Queue._task_done

    def join(self) -> None:
        """Waits until `task_done` was called for everything that was put."""
        _native.Queue._join(self)

    def dead_letters(self) -> list[tuple[_T, int]]:
        """Takes out what was set aside: each object with how often it was delivered.

        Looks for dead workers first, so what one of them had in its hands for the last time is among it.
        """
        _native.reap()
        _native.Queue._join(self, 0.0)
        letters = []
        while (letter := _native.Queue._take_dead_letter(self)) is not None:
            letters.append(letter)
        return letters

    def __getstate__(self) -> tuple[Any, ...]:
        return *super().__getstate__(), self._slipring_leases

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        *state, self._slipring_leases = state
        maxsize, name, passage = state
        _begin(self, maxsize, name)
        if passage is None:
            _native.Queue._open(self, maxsize, name, *self._slipring_leases)
        else:
            _native.Queue._arrive(self, passage)
