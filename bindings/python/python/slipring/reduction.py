"""How slipring's objects get into another process: through pickles, as multiprocessing's do.

An object that lives in shared memory is pickled as a *ticket*: which object of which segment it is. While a process is
being started, what it is given is held for it in a *berth*; so the parent may drop its own object at once, and whoever
is killed on the way leaves nothing behind.

Everything of `multiprocessing.reduction` is here, too.
"""

from __future__ import annotations

from multiprocessing import reduction as _standard
from multiprocessing.context import assert_spawning, get_spawning_popen
from multiprocessing.reduction import (
    AbstractReducer,
    DupFd,
    ForkingPickler,
    dump,
    recvfds,
    register,
    sendfds,
)
from pickle import PickleBuffer
from typing import Any

from slipring import _native

__all__ = [
    "AbstractReducer",
    "DupFd",
    "ForkingPickler",
    "assert_spawning",
    "dump",
    "recv_handle",
    "recvfds",
    "reduce_native",
    "register",
    "send_handle",
    "sendfds",
]

HAVE_SEND_HANDLE = _standard.HAVE_SEND_HANDLE
# The module may show ours, later on.
_send_handle, _recv_handle = _standard.send_handle, _standard.recv_handle


def send_handle(conn: Any, handle: int, destination_pid: int | None) -> None:
    """Send a descriptor over a connection, for `recv_handle`."""
    if isinstance(conn, _native.Connection):
        conn.send(DupFd(handle))
    else:
        _send_handle(conn, handle, destination_pid)


def recv_handle(conn: Any) -> int:
    """Receive a descriptor that `send_handle` sent; it is the caller's."""
    return conn.recv().detach() if isinstance(conn, _native.Connection) else _recv_handle(conn)


class Voyage:
    """What one process that is being started is given: berths, and a seat for each of them."""

    def __init__(self) -> None:
        self.berths = _native.Berths()
        self.seats: dict[int, Seat] = {}

    def seat(self, index: int) -> Seat:
        """The seat of a berth: always the same object, so that a pickle has it once."""
        if index not in self.seats:
            self.seats[index] = Seat(self.berths, index)
        return self.seats[index]


class Seat:
    """A berth as it is pickled: once, however many objects refer to it."""

    def __init__(self, berths: _native.Berths, index: int) -> None:
        self._berths = berths
        self._index = index

    def __reduce__(self) -> tuple[Any, ...]:
        fd, name = self._berths.proof(self._index)
        return _board, (DupFd(fd), name)


def _board(fd: Any, name: int) -> _native.Boarding:
    return _native.Boarding(fd.detach(), name)


def _rebuild(cls: type, boarding: _native.Boarding, parts: list[tuple[str, list[Any]]]) -> Any:
    parts = [(text, [fd.detach() for fd in fds]) for text, fds in parts]
    return cls.__new__(cls, _native.Ticket(boarding, parts))


def reduce_native(obj: Any) -> tuple[Any, ...]:
    """The `__reduce__` of an object of ours.

    Its native half has `_slipring_give(berths)`, which returns the number of the berth and `(text, descriptors)` of
    each part of it; its class makes the object again of a `_native.Ticket` in place of its first argument, without
    `__init__`.
    """
    popen = get_spawning_popen()
    # Of no process that is being started: the pickle's own copies of the descriptors keep the berth.
    voyage = Voyage() if popen is None else popen.__dict__.setdefault("_slipring_voyage", Voyage())
    index, parts = obj._slipring_give(voyage.berths)
    parts = [(text, [DupFd(fd) for fd in fds]) for text, fds in parts]
    args = (type(obj), voyage.seat(index), parts)
    state = getattr(obj, "__dict__", None)
    return (_rebuild, args, state) if state else (_rebuild, args)


def _reduce_memoryview(view: memoryview) -> tuple[Any, ...]:
    """A view is sent as the memory that it shows: beside the pickle, with one copy, if that is in one piece."""
    memory: Any = view
    if not view.c_contiguous:
        memory = view.tobytes() if view.readonly else bytearray(view.tobytes())
    return _show, (PickleBuffer(_native.Beside(memory)), view.format, view.shape)


def _show(memory: Any, format: str, shape: tuple[int, ...]) -> memoryview:
    view = memoryview(memory).cast("B")
    return view.cast(format, shape) if view.nbytes else view.cast(format)


#: Of classes that slipring's queues and pipes send, and multiprocessing's do not.
_REDUCERS = {memoryview: _reduce_memoryview}
