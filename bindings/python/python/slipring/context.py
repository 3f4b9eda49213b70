"""Contexts: what `multiprocessing`'s are, with slipring's queues, pipes, locks and pools.

    >>> import slipring
    >>> ctx = slipring.get_context("spawn")
    >>> ctx.get_start_method()
    'spawn'
    >>> lock = ctx.Lock()
    >>> with lock:
    ...     lock.acquire(block=False)
    False

Processes are the standard library's; one context's objects may be given to another context's processes.
"""

from __future__ import annotations

from multiprocessing import context as _standard
from multiprocessing import process as _process
from multiprocessing.context import (
    AuthenticationError,
    BufferTooShort,
    ForkProcess,
    ProcessError,
    TimeoutError,
    assert_spawning,
    get_spawning_popen,
    set_spawning_popen,
)
from typing import TYPE_CHECKING, Any, ClassVar, Literal, overload

from slipring import _default

if TYPE_CHECKING:
    from slipring import connection, pool, queues, sharedctypes, synchronize

__all__ = [
    "AuthenticationError",
    "BaseContext",
    "BufferTooShort",
    "DefaultContext",
    "ForkContext",
    "ForkProcess",
    "ForkServerContext",
    "Process",
    "ProcessError",
    "SpawnContext",
    "TimeoutError",
    "assert_spawning",
    "get_spawning_popen",
    "set_spawning_popen",
]


class BaseContext(_standard.BaseContext):
    """What all contexts make. Each method makes one object and takes what its class takes."""

    Process: ClassVar[type[_process.BaseProcess]]

    def Pipe(self, duplex: bool = True) -> tuple[connection.Connection, connection.Connection]:
        """Two connected ends, each a `slipring.connection.Connection`.

        Both send and receive, or with `duplex=False` the first one receives and the second one sends. Any number of
        processes may use one end. When nobody has the other end any more, by `close`, exit or a kill, `recv` raises
        EOFError and `send` BrokenPipeError.

        >>> import slipring
        >>> here, there = slipring.Pipe()
        >>> here.send({"answer": 42})
        >>> there.recv()
        {'answer': 42}
        """
        from slipring.connection import Pipe

        return Pipe(duplex)

    def Lock(self, *, name: str | None = None) -> synchronize.Lock:
        """A lock that is not recursive, a `slipring.synchronize.Lock`; anybody may release it.

        If the process that has it is killed, the next one gets it. With a `name` it is the lock of all programs that
        use that name.

        >>> import slipring
        >>> lock = slipring.Lock()
        >>> with lock:
        ...     lock.acquire(timeout=0.01)
        False
        """
        from slipring.synchronize import Lock

        return Lock(ctx=self.get_context(), name=name)

    def RLock(self, *, name: str | None = None) -> synchronize.RLock:
        """A recursive lock, a `slipring.synchronize.RLock`: the thread that has it may take it again.

        If the process that has it is killed, the next one gets it.

        >>> import slipring
        >>> lock = slipring.RLock()
        >>> with lock, lock:
        ...     lock
        <RLock(MainProcess, 2)>
        """
        from slipring.synchronize import RLock

        return RLock(ctx=self.get_context(), name=name)

    def Condition(self, lock: Any = None, *, name: str | None = None) -> synchronize.Condition:
        """A condition variable, a `slipring.synchronize.Condition`, with an `RLock` of its own or the lock given.

        >>> import slipring
        >>> changed = slipring.Condition()
        >>> with changed:
        ...     changed.wait_for(lambda: True)
        True
        """
        from slipring.synchronize import Condition

        return Condition(lock, ctx=self.get_context(), name=name)

    def Semaphore(self, value: int = 1, *, name: str | None = None) -> synchronize.Semaphore:
        """A semaphore, a `slipring.synchronize.Semaphore`: `value` permits, which anybody takes and anybody gives.

        Nobody's death gives anything back, since nobody knows whose permits are whose; see `BoundedSemaphore`.

        >>> import slipring
        >>> ready = slipring.Semaphore(0)
        >>> ready.release()
        >>> ready.acquire()
        True
        """
        from slipring.synchronize import Semaphore

        return Semaphore(value, ctx=self.get_context(), name=name)

    def BoundedSemaphore(self, value: int = 1, *, name: str | None = None) -> synchronize.BoundedSemaphore:
        """So many places, a `slipring.synchronize.BoundedSemaphore`: those of a killed process come back.

        >>> import slipring
        >>> seats = slipring.BoundedSemaphore(2)
        >>> with seats:
        ...     seats.get_value()
        1
        """
        from slipring.synchronize import BoundedSemaphore

        return BoundedSemaphore(value, ctx=self.get_context(), name=name)

    def Event(self, *, name: str | None = None) -> synchronize.Event:
        """A flag that processes wait for, a `slipring.synchronize.Event`.

        >>> import slipring
        >>> started = slipring.Event()
        >>> started.wait(timeout=0.01)
        False
        >>> started.set()
        >>> started.wait()
        True
        """
        from slipring.synchronize import Event

        return Event(ctx=self.get_context(), name=name)

    def Barrier(
        self, parties: int, action: Any = None, timeout: float | None = None, *, name: str | None = None
    ) -> synchronize.Barrier:
        """A place where so many parties meet, a `slipring.synchronize.Barrier`; the last to come runs `action`.

        >>> import slipring
        >>> slipring.Barrier(1, action=lambda: print("all here")).wait()
        all here
        0
        """
        from slipring.synchronize import Barrier

        return Barrier(parties, action, timeout, ctx=self.get_context(), name=name)

    def Queue(self, maxsize: int = 0, *, name: str | None = None) -> queues.Queue[Any]:
        """A queue of objects, many to many: a `slipring.queues.Queue`, which has all that it can do.

        What was put is there when `put` returns. With a `maxsize` it holds so many; with a `name` it is the same queue
        in every program that uses that name.

        >>> import slipring
        >>> queue = slipring.Queue(maxsize=10)
        >>> queue.put({"id": 1})
        >>> queue.qsize(), queue.get()
        (1, {'id': 1})
        >>> queue.put_many("abc")
        3
        >>> queue.get_many(10)
        ['a', 'b', 'c']
        """
        from slipring.queues import Queue

        return Queue(maxsize, ctx=self.get_context(), name=name)

    def JoinableQueue(
        self,
        maxsize: int = 0,
        *,
        name: str | None = None,
        max_deliveries: int | None = 10,
        max_leases: int = 4096,
    ) -> queues.JoinableQueue[Any]:
        """A queue of tasks, a `slipring.queues.JoinableQueue`: `join` waits until all of them are done.

        A task whose worker is killed before `task_done` goes to another worker. One that was delivered
        `max_deliveries` times and never done is set aside.

        >>> import slipring
        >>> tasks = slipring.JoinableQueue()
        >>> tasks.put("sweep")
        >>> tasks.get()
        'sweep'
        >>> tasks.task_done()
        >>> tasks.join()
        """
        from slipring.queues import JoinableQueue

        tasks = {"max_deliveries": max_deliveries, "max_leases": max_leases}
        return JoinableQueue(maxsize, ctx=self.get_context(), name=name, **tasks)

    def SimpleQueue(self) -> queues.SimpleQueue[Any]:
        """A queue with `get`, `put` and `empty`, a `slipring.queues.SimpleQueue`.

        >>> import slipring
        >>> queue = slipring.SimpleQueue()
        >>> queue.put(1)
        >>> queue.get()
        1
        """
        from slipring.queues import SimpleQueue

        return SimpleQueue(ctx=self.get_context())

    def Pool(
        self,
        processes: int | None = None,
        initializer: Any = None,
        initargs: Any = (),
        maxtasksperchild: int | None = None,
    ) -> pool.Pool:
        """A pool of worker processes, a `slipring.pool.Pool`; a task whose worker is killed fails with `WorkerDied`.

        >>> import slipring
        >>> with slipring.Pool(2) as pool:
        ...     pool.map(abs, [1, -2, 3])
        [1, 2, 3]
        """
        from slipring.pool import Pool

        return Pool(processes, initializer, initargs, maxtasksperchild, context=self.get_context())

    def RawValue(self, typecode_or_type: Any, *args: Any, name: str | None = None) -> Any:
        """A ctypes object in shared memory, without a lock. With a `name` it is that of all programs which use it.

        >>> import slipring
        >>> slipring.RawValue("d", 2.5).value
        2.5
        """
        from slipring.sharedctypes import RawValue

        return RawValue(typecode_or_type, *args, name=name)

    def RawArray(self, typecode_or_type: Any, size_or_initializer: Any, *, name: str | None = None) -> Any:
        """A ctypes array in shared memory, without a lock: of so many zeros, or of what the initializer has.

        >>> import slipring
        >>> slipring.RawArray("i", [1, 2, 3])[:]
        [1, 2, 3]
        """
        from slipring.sharedctypes import RawArray

        return RawArray(typecode_or_type, size_or_initializer, name=name)

    @overload
    def Value(self, typecode_or_type: str, *args: Any, lock: Literal[True] = True) -> sharedctypes.Synchronized: ...
    @overload
    def Value(self, typecode_or_type: Any, *args: Any, lock: Any = True) -> Any: ...
    def Value(self, typecode_or_type: Any, *args: Any, lock: Any = True) -> Any:
        """A ctypes object in shared memory, with a lock: a new `RLock`, or the one given.

        >>> import slipring
        >>> counter = slipring.Value("i", 7)
        >>> with counter.get_lock():
        ...     counter.value += 1
        >>> counter.value
        8
        """
        from slipring.sharedctypes import Value

        return Value(typecode_or_type, *args, lock=lock, ctx=self.get_context())

    @overload
    def Array(
        self, typecode_or_type: Literal["c"], size_or_initializer: Any, *, lock: Literal[True] = True
    ) -> sharedctypes.SynchronizedString: ...
    @overload
    def Array(
        self, typecode_or_type: str, size_or_initializer: Any, *, lock: Literal[True] = True
    ) -> sharedctypes.SynchronizedArray: ...
    @overload
    def Array(self, typecode_or_type: Any, size_or_initializer: Any, *, lock: Any = True) -> Any: ...
    def Array(self, typecode_or_type: Any, size_or_initializer: Any, *, lock: Any = True) -> Any:
        """A ctypes array in shared memory, with a lock: a new `RLock`, or the one given.

        >>> import slipring
        >>> numbers = slipring.Array("d", [1.0, 2.0])
        >>> numbers[0] = 0.5
        >>> numbers[:]
        [0.5, 2.0]
        """
        from slipring.sharedctypes import Array

        return Array(typecode_or_type, size_or_initializer, lock=lock, ctx=self.get_context())

    def trim(self) -> int:
        """Gives the memory of long messages that were received back to the machine at once; about how many bytes.

        Nobody has to call it: all but a small reserve goes back by itself within a second. It is that of the segment
        which this process shares with what it started; objects with names have their own.

        >>> import slipring
        >>> queue = slipring.Queue()
        >>> queue.put(bytes(10_000_000))
        >>> len(queue.get())
        10000000
        >>> slipring.trim() >= 10_000_000
        True
        """
        from slipring import _native

        return _native.trim()

    def allow_connection_pickling(self) -> None:
        """Connections and sockets can be pickled."""
        from slipring import connection  # noqa: F401

    @overload
    def get_context(self, method: None = None) -> BaseContext: ...
    @overload
    def get_context(self, method: Literal["fork"]) -> ForkContext: ...
    @overload
    def get_context(self, method: Literal["spawn"]) -> SpawnContext: ...
    @overload
    def get_context(self, method: Literal["forkserver"]) -> ForkServerContext: ...
    @overload
    def get_context(self, method: str) -> BaseContext: ...
    def get_context(self, method: str | None = None) -> Any:
        """The context of a start method: 'fork', 'spawn' or 'forkserver'."""
        if method is None:
            return self
        try:
            return _concrete_contexts[method]
        except KeyError:
            raise ValueError(f"cannot find context for {method!r}") from None


class Process(_process.BaseProcess):
    """A process that is started in the way that `slipring.set_start_method` says.

    >>> import slipring
    >>> slipring.Process(target=print, name="worker").name
    'worker'
    """

    _start_method = None

    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        return _default_context.get_context().Process._Popen(process_obj)

    @staticmethod
    def _after_fork() -> None:
        _default_context.get_context().Process._after_fork()


class SpawnProcess(_standard.SpawnProcess):
    """A process that is a new interpreter."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        from slipring.popen import SpawnPopen

        return SpawnPopen(process_obj)


class ForkServerProcess(_standard.ForkServerProcess):
    """A process that the fork server forks."""

    @staticmethod
    def _Popen(process_obj: Any) -> Any:
        from slipring.popen import ForkServerPopen

        return ForkServerPopen(process_obj)


class ForkContext(BaseContext, _standard.ForkContext):
    """Processes are forked."""


class SpawnContext(BaseContext, _standard.SpawnContext):
    """Processes are new interpreters."""

    Process = SpawnProcess


class ForkServerContext(BaseContext, _standard.ForkServerContext):
    """Processes are forked by a server that has no threads."""

    Process = ForkServerProcess


class DefaultContext(BaseContext, _standard.DefaultContext):
    """The context that is chosen once, by `set_start_method`; until then the platform's.

    While slipring is in the place of multiprocessing, it is multiprocessing's default context that chooses.
    """

    Process = Process
    #: Who chooses instead.
    _chooser: _standard.DefaultContext | None = None

    # To type checkers they are what they are in the other contexts.
    if not TYPE_CHECKING:

        def get_context(self, method: str | None = None) -> Any:
            """The context of a start method; without one, the context of the start method that is chosen."""
            if method is not None:
                return super().get_context(method)
            if self._chooser is not None:
                return self._chooser.get_context()
            if self._actual_context is None:
                self._actual_context = self._default_context
            return self._actual_context

        def get_start_method(self, allow_none: bool = False) -> str | None:
            """The start method; the choice is made by that, unless None is allowed."""
            if self._chooser is not None:
                return self._chooser.get_start_method(allow_none)
            return super().get_start_method(allow_none)

    def set_start_method(self, method: str | None, force: bool = False) -> None:
        """Chooses how processes are started: 'fork', 'spawn' or 'forkserver'. Once, unless by force."""
        if self._chooser is not None:
            self._chooser.set_start_method(method, force)
        else:
            super().set_start_method(method, force)


_concrete_contexts = {
    "fork": ForkContext(),
    "spawn": SpawnContext(),
    "forkserver": ForkServerContext(),
}
# The same one as multiprocessing's, which is another one from Python 3.14 on.
_default_context = DefaultContext(_concrete_contexts[_standard._default_context._default_context.get_start_method()])
_default.context = _default_context


def force_start_method(method: str | None) -> None:
    """Chooses a start method, whether one was chosen before or not."""
    _default_context.set_start_method(method, force=True)
