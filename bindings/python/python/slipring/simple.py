"""A queue that is no more than a pipe with two locks."""

from __future__ import annotations

from multiprocessing.context import assert_spawning
from typing import Any, Generic, TypeVar

from slipring import _default, _native, connection

__all__ = ["SimpleQueue"]

_T = TypeVar("_T")

# How many bytes may be put before anybody gets; see `connection`.
_RING = 256 << 10


class SimpleQueue(Generic[_T]):
    """A queue with `get`, `put` and `empty`, for any number of processes.

        >>> import slipring
        >>> queue = slipring.SimpleQueue()
        >>> queue.put("hello")
        >>> queue.empty()
        False
        >>> queue.get()
        'hello'

    What was put is there when `put` returns. `put` waits while the receivers lag by more than 256 KiB; long objects
    count a small part of their length. A process that is killed in `put` or `get` leaves the others working, and takes
    the object with it that it had in its hands.
    """

    def __init__(self, *, ctx: Any = None) -> None:
        if ctx is None:
            ctx = _default.context
        reader, writer = _native.pipe(False, _RING)
        self._reader, self._writer = connection.Connection(reader), connection.Connection(writer)
        # Messages are whole without them: `_rlock` keeps receivers away while somebody looks at what there is and takes
        # it, and nobody needs `_wlock` but those who know it from multiprocessing.
        self._rlock = ctx.Lock()
        self._wlock = ctx.Lock()
        self._poll = self._reader.poll

    def close(self) -> None:
        """Close this process's ends."""
        self._reader.close()
        self._writer.close()

    def empty(self) -> bool:
        """Whether there is nothing to get at this moment."""
        return not self._poll()

    def get(self) -> _T:
        """Remove and return an object, waiting for one."""
        return _native.Connection._recv_under(self._reader, self._rlock)

    def put(self, obj: _T) -> None:
        """Put an object, waiting for room."""
        self._writer.send(obj)

    def __getstate__(self) -> tuple[Any, ...]:
        assert_spawning(self)
        return self._reader, self._writer, self._rlock, self._wlock

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self._reader, self._writer, self._rlock, self._wlock = state
        self._poll = self._reader.poll
