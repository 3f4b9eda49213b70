"""Pipes between processes, as in `multiprocessing.connection`, in shared memory.

    >>> from slipring import Pipe
    >>> here, there = Pipe()
    >>> here.send({"answer": 42})
    >>> there.recv()
    {'answer': 42}
    >>> here.close()
    >>> there.recv()
    Traceback (most recent call last):
    EOFError

`Listener` and `Client`, which talk through sockets, are the standard library's.
"""

from __future__ import annotations

import selectors
import time
import weakref
from collections.abc import Iterable
from multiprocessing import AuthenticationError, BufferTooShort
from multiprocessing import connection as _standard
from multiprocessing.connection import (
    Client,
    Listener,
    address_type,
    answer_challenge,
    arbitrary_address,
    deliver_challenge,
)
from typing import Any

from slipring import _native
from slipring._waiting import Readiness
from slipring.reduction import reduce_native

__all__ = [
    "AuthenticationError",
    "BufferTooShort",
    "Client",
    "Connection",
    "Listener",
    "Pipe",
    "address_type",
    "answer_challenge",
    "arbitrary_address",
    "deliver_challenge",
    "wait",
]

# How many bytes may be sent in one direction before anybody receives. An object of more than 4 KiB lies beside the
# ring and counts a 64th of its length.
_RING = 128 << 10


class Connection(_native.Connection):
    """One end of a pipe. `Pipe()` makes it.

        >>> reader, writer = Pipe(duplex=False)
        >>> writer.send_bytes(b"hello")
        >>> reader.poll()
        True
        >>> reader.recv_bytes()
        b'hello'

    Several processes and threads may use one end: messages stay whole, and each is received once. The other end's last
    copy being closed, by `close`, by exit or by a kill, is EOFError for a receiver and BrokenPipeError for a sender.
    """

    async def arecv(self) -> Any:
        """Receive an object in an asyncio program, waiting for one. A cancelled call receives nothing.

        >>> import asyncio
        >>> reader, writer = Pipe(duplex=False)
        >>> async def echo():
        ...     await writer.asend("hello")
        ...     return await reader.arecv()
        >>> asyncio.run(echo())
        'hello'
        """
        while (found := _native.Connection._try_recv(self)) is None:
            # Nothing is taken before this goes on, so there is nothing to lose when it is cancelled.
            await _readiness(self, "recv").wait()
        return found[0]

    async def asend(self, obj: Any) -> None:
        """Send an object in an asyncio program, waiting for room. A cancelled call sends nothing."""
        if not _native.Connection._try_send(self, obj):
            # As it is now.
            message = _native.encode_message(obj)
            while not _native.Connection._try_send_bytes(self, message):
                await _readiness(self, "send").wait()

    def close(self) -> None:
        """Close this process's end. Closing it twice does no harm."""
        awaited = self.__dict__.get("_slipring_awaited", {})
        # Before, since the descriptors go; and afterwards, since another thread's loop may have been at it meanwhile.
        for readiness in list(awaited.values()):
            readiness.end()
        super().close()
        for readiness in list(awaited.values()):
            readiness.end()

    def __reduce__(self) -> tuple[Any, ...]:
        # At any time, not only while a process is being started.
        _, args, *_ = reduce_native(self)
        return _rebuild, (self.readable, self.writable, *args)

    def __repr__(self) -> str:
        does = [what for what in ("readable", "writable", "closed") if getattr(self, what)]
        return f"<{type(self).__module__}.{type(self).__qualname__} {' '.join(does)} at {id(self):#x}>"


def _readiness(connection: Connection, act: str) -> Readiness:
    known = connection.__dict__.setdefault("_slipring_awaited", {})
    if act not in known:
        # It must not keep the connection, which is closed when the last reference goes.
        me, native = weakref.ref(connection), _native.Connection
        if act == "recv":
            known[act] = Readiness(lambda: native.fileno(me()), lambda: me().closed or native.poll(me()))
        else:
            known[act] = Readiness(lambda: native._room_fileno(me()), lambda: me().closed or native._has_room(me()))
    return known[act]


def _rebuild(readable: bool, writable: bool, cls: type, boarding: _native.Boarding, parts: list[Any]) -> Connection:
    parts = [(text, [fd.detach() for fd in fds]) for text, fds in parts]
    return cls.__new__(cls, _native.Ticket(boarding, parts), readable, writable)


def Pipe(duplex: bool = True) -> tuple[Connection, Connection]:
    """Two connected ends; of a one-way pipe the first one receives and the second one sends.

    >>> reader, writer = Pipe(duplex=False)
    >>> writer.send([1, 2, 3])
    >>> reader.recv()
    [1, 2, 3]
    """
    one, two = _native.pipe(bool(duplex), _RING)
    return Connection(one), Connection(two)


def wait(object_list: Iterable[Any], timeout: float | None = None) -> list[Any]:
    """Those of some connections, sockets and descriptors that can be received from, waiting until there is one.

    >>> reader, writer = Pipe(duplex=False)
    >>> wait([reader], timeout=0)
    []
    >>> writer.send("hello")
    >>> wait([reader]) == [reader]
    True
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    with selectors.PollSelector() as selector:
        for each in object_list:
            selector.register(each, selectors.EVENT_READ)
        while True:
            ready = [key.fileobj for key, _ in selector.select(timeout)]
            found = [each for each in ready if _is_ready(each)]
            if found:
                return found
            if deadline is not None:
                timeout = deadline - time.monotonic()
                if timeout < 0:
                    return []


def _is_ready(found: Any) -> bool:
    """Whether what `poll` has found is there: another process may have received it, of several that share an end."""
    return not isinstance(found, Connection) or not found.readable or found.poll()


def __getattr__(name: str) -> Any:
    # What else is in the standard library's module: nobody is told that it is public, but programs use it.
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_standard, name)
