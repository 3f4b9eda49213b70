"""multiprocessing's processes, queues, pipes, locks and pools, in shared memory: kill anyone, and the others carry on.

Change one import:

    import slipring as multiprocessing

or, name by name, `from slipring import Process, Queue, Pipe`. Everything that `multiprocessing` exports is here and
means what it means there. An unchanged program runs with

    python -m slipring program.py

>>> import slipring
>>> queue = slipring.Queue(maxsize=2)
>>> queue.put({"answer": 42})
>>> queue.get()
{'answer': 42}

    Process, Pool                     processes; pools whose workers may be killed
    WorkerDied, PoolBroken            a task's worker was killed; no worker of a pool can start
    Queue, JoinableQueue, SimpleQueue many to many; tasks that outlive their workers; `get` and `put` alone
    Pipe                              two ends
    Lock, RLock                       had by the next one when the holder is killed
    Semaphore, BoundedSemaphore       counts and signals; places, which a killed process gives back
    Condition, Event, Barrier         waiting for each other
    Value, Array, RawValue, RawArray  ctypes objects in shared memory, with a lock and without
    Manager                           the standard library's
    get_context, set_start_method     'fork', 'spawn', 'forkserver'
    patch, unpatch                    slipring in the place of multiprocessing
    trim                              memory of long messages, given back at once

`help(slipring.queues.Queue)`, `help(slipring.connection.Connection)`, `help(slipring.pool.Pool)` and the classes of
`slipring.synchronize` and `slipring.sharedctypes` say what each can do. The chapter "Differences from multiprocessing"
of the project's guide lists every difference, all of them on purpose.
"""

from __future__ import annotations

import sys as _sys
import typing as _typing

from slipring import _native
from slipring import context as context
from slipring import process as process
from slipring import reduction as reduction
from slipring._native import SegmentError
from slipring.context import AuthenticationError, BufferTooShort, Process, ProcessError, TimeoutError
from slipring.context import _default_context as _context
from slipring.patching import patch, unpatch

__version__ = _native.version()

Array = _context.Array
Barrier = _context.Barrier
BoundedSemaphore = _context.BoundedSemaphore
Condition = _context.Condition
Event = _context.Event
JoinableQueue = _context.JoinableQueue
Lock = _context.Lock
Manager = _context.Manager
Pipe = _context.Pipe
Pool = _context.Pool
Queue = _context.Queue
RLock = _context.RLock
RawArray = _context.RawArray
RawValue = _context.RawValue
Semaphore = _context.Semaphore
SimpleQueue = _context.SimpleQueue
Value = _context.Value
active_children = _context.active_children
allow_connection_pickling = _context.allow_connection_pickling
cpu_count = _context.cpu_count
current_process = _context.current_process
freeze_support = _context.freeze_support
get_all_start_methods = _context.get_all_start_methods
get_context = _context.get_context
get_logger = _context.get_logger
get_start_method = _context.get_start_method
log_to_stderr = _context.log_to_stderr
parent_process = _context.parent_process
reducer = _context.reducer
set_executable = _context.set_executable
set_forkserver_preload = _context.set_forkserver_preload
set_start_method = _context.set_start_method
trim = _context.trim

__all__ = [
    "Array",
    "AuthenticationError",
    "Barrier",
    "BoundedSemaphore",
    "BufferTooShort",
    "Condition",
    "Event",
    "JoinableQueue",
    "Lock",
    "Manager",
    "Pipe",
    "Pool",
    "PoolBroken",
    "Process",
    "ProcessError",
    "Queue",
    "RLock",
    "RawArray",
    "RawValue",
    "SegmentError",
    "Semaphore",
    "SimpleQueue",
    "TimeoutError",
    "Value",
    "WorkerDied",
    "active_children",
    "allow_connection_pickling",
    "cpu_count",
    "current_process",
    "freeze_support",
    "get_all_start_methods",
    "get_context",
    "get_logger",
    "get_start_method",
    "log_to_stderr",
    "parent_process",
    "patch",
    "reducer",
    "set_executable",
    "set_forkserver_preload",
    "set_start_method",
    "trim",
    "unpatch",
]

if _typing.TYPE_CHECKING:
    from slipring.pool import PoolBroken, WorkerDied
else:

    def __getattr__(name: str) -> _typing.Any:
        if name in ("PoolBroken", "WorkerDied"):
            # With their module come threads and ctypes, which few programs need.
            from slipring import pool

            return getattr(pool, name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


SUBDEBUG = 5
SUBWARNING = 25

# Set anew by processes that are started.
if "__main__" in _sys.modules:
    _sys.modules.setdefault("__mp_main__", _sys.modules["__main__"])
