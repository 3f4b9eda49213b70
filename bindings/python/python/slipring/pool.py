"""Pools of worker processes whose workers may be killed.

What `multiprocessing.pool.Pool` does, and: a task whose worker dies, in whatever way, fails with `WorkerDied`, which
names the task and the worker's exit code. All other tasks go on, and so does the pool, with a new worker.

    >>> import slipring
    >>> with slipring.Pool(2) as pool:
    ...     pool.map(abs, [1, -2, 3])
    [1, 2, 3]

How: a task that a worker takes is leased to it (`slipring.JoinableQueue`). The lease of a worker that dies comes back,
and the pool, which learns of the death by the worker's sentinel, fails that task. A result that the worker had sent
before it died counts.
"""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from multiprocessing import pool as _standard
from multiprocessing import util
from multiprocessing.context import TimeoutError
from multiprocessing.pool import (
    INIT,
    RUN,
    TERMINATE,
    ApplyResult,
    AsyncResult,
    IMapIterator,
    IMapUnorderedIterator,
    MapResult,
    MaybeEncodingError,
    RemoteTraceback,
    ThreadPool,
)
from typing import Any

from slipring import _default
from slipring._insides import used_by
from slipring._pool_errors import PoolBroken, UnreadableResult, WorkerDied, opened
from slipring._worker import seal
from slipring._workers import PATIENCE, Workers
from slipring.connection import wait
from slipring.queues import SimpleQueue

__all__ = [
    "ApplyResult",
    "AsyncResult",
    "IMapIterator",
    "IMapUnorderedIterator",
    "MapResult",
    "MaybeEncodingError",
    "Pool",
    "PoolBroken",
    "RemoteTraceback",
    "ThreadPool",
    "TimeoutError",
    "UnreadableResult",
    "WorkerDied",
]

#: How many tasks or results are moved in one step at most.
_BATCH = 64

_StandardPool = _standard.Pool


class Pool(_StandardPool):
    """A pool of worker processes: `apply`, `map`, `imap`, `starmap` and their asynchronous forms.

    `processes` is how many (as many as there are CPUs), `initializer(*initargs)` is called in each worker when it
    starts, `maxtasksperchild` is after how many tasks a worker is replaced by a new one, `context` says how processes
    are started.

    >>> import slipring
    >>> with slipring.Pool(2) as pool:
    ...     pool.apply(max, (1, 2))
    2

    A subclass that overrides `_setup_queues`, or uses other private names that only the standard library's pool has, is
    a standard pool, which works with the subclass's queues. A killed worker's task is lost there.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., Any] | None = None,
        initargs: Sequence[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
    ):
        context = context or _default.context.get_context()
        #: None if this is a standard pool.
        self._slipring_workers: Workers | None = None
        if _wants_a_standard_pool(type(self)):
            super().__init__(processes, initializer, initargs, maxtasksperchild, context)
            return
        self._pool: list[Any] = []
        self._state = INIT
        if processes is None:
            processes = os.cpu_count() or 1
        if processes < 1:
            raise ValueError("Number of processes must be at least 1")
        if maxtasksperchild is not None and (not isinstance(maxtasksperchild, int) or maxtasksperchild <= 0):
            raise ValueError("maxtasksperchild must be a positive int or None")
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")

        self._ctx = context
        self._processes = processes
        self._initializer = initializer
        self._initargs = initargs
        self._maxtasksperchild = maxtasksperchild
        self._taskqueue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._change_notifier = SimpleQueue(ctx=self._ctx)
        self._cache = _standard._PoolCache(notifier=self._change_notifier)
        workers = self._slipring_workers = Workers(self)
        self._pool = workers.all
        try:
            workers.fill()
        except BaseException:
            workers.terminate()
            raise
        # Not given the pool: a pool that nobody refers to is ended by its finalizer.
        shared = (workers, self._taskqueue, self._cache, self._change_notifier)
        self._worker_handler = _start(_maintain, *shared)
        self._task_handler = _start(_feed, *shared)
        self._result_handler = _start(_collect, *shared)
        self._terminate = util.Finalize(
            self,
            _end,
            args=(
                workers,
                self._cache,
                self._change_notifier,
                self._worker_handler,
                self._task_handler,
                self._result_handler,
            ),
            exitpriority=15,
        )
        self._state = RUN

    def apply_async(
        self,
        func: Callable[..., Any],
        args: Any = (),
        kwds: Any = {},  # noqa: B006  as in multiprocessing
        callback: Callable[[Any], Any] | None = None,
        error_callback: Callable[[BaseException], Any] | None = None,
    ) -> Any:
        """Calls `func(*args, **kwds)` in a worker. Returns at once, an `AsyncResult`.

        `callback` is called with the result, `error_callback` with the exception. What they raise themselves is shown
        by `threading.excepthook`, and changes nothing else.
        """
        return super().apply_async(func, args, kwds, _guarded(callback), _guarded(error_callback))

    def _map_async(
        self,
        func: Callable[..., Any],
        iterable: Any,
        mapper: Callable[..., Any],
        chunksize: int | None = None,
        callback: Callable[[Any], Any] | None = None,
        error_callback: Callable[[BaseException], Any] | None = None,
    ) -> Any:
        self._check_running()
        if chunksize is None and self._slipring_workers is not None:
            iterable = iterable if hasattr(iterable, "__len__") else list(iterable)
            # Four chunks for each worker that there should be: there may be none at the moment.
            chunksize = -(-len(iterable) // (self._processes * 4))
        return super()._map_async(func, iterable, mapper, chunksize, _guarded(callback), _guarded(error_callback))

    def _repopulate_pool(self) -> None:
        if self._slipring_workers is None:
            super()._repopulate_pool()
        else:
            self._slipring_workers.fill()


#: What our pool has of the standard one, and uses as that one does.
_SAME = frozenset(
    "_cache _change_notifier _check_running _ctx _get_tasks _guarded_task_generation _initargs _initializer _map_async "
    "_maxtasksperchild _pool _processes _result_handler _state _task_handler _taskqueue _terminate _worker_handler "
    "_wrap_exception".split()
)


def _guarded(callback: Callable[[Any], Any] | None) -> Callable[[Any], Any] | None:
    """A callback whose exceptions do not end the thread that calls it."""
    if callback is None:
        return None

    def call(value: Any) -> None:
        try:
            callback(value)
        except BaseException:
            threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))

    return call


def _wants_a_standard_pool(cls: type) -> bool:
    """Whether a subclass uses or overrides what only the standard library's pool has, such as `_setup_queues`."""
    written = [vars(each) for each in cls.__mro__ if each not in Pool.__mro__]
    return bool(written) and bool(used_by(written, _StandardPool, _SAME))


def _start(target: Callable[..., None], *args: Any) -> threading.Thread:
    """A thread of a pool."""
    thread = threading.Thread(target=target, args=args, daemon=True)
    thread._state = RUN  # type: ignore[attr-defined]
    thread.start()
    return thread


def _maintain(workers: Workers, taskqueue: Any, cache: Any, change_notifier: Any) -> None:
    """Replaces workers that exit, until the pool is closed and everything is done."""
    thread = threading.current_thread()
    while thread._state == RUN or (cache and thread._state != TERMINATE):
        workers.replace_exited()
        if workers.are_broken():
            workers.fail_a_task()
        else:
            # While somebody else repairs what a death left, its task has not come back yet: it is looked for again.
            patience = PATIENCE if (workers.dead and cache) or workers.unready.are_too_many() else None
            wait([*(worker.sentinel for worker in workers.all), change_notifier._reader], patience)
        while not change_notifier.empty():
            change_notifier.get()
    taskqueue.put(None)
    util.debug("worker handler exiting")


def _feed(workers: Workers, taskqueue: Any, cache: Any, change_notifier: Any) -> None:
    """Puts tasks where workers find them."""
    thread = threading.current_thread()

    def put(tasks: list[Any]) -> bool:
        while thread._state == RUN:
            try:
                workers.tasks.put_many(tasks, timeout=PATIENCE)
                return True
            except queue.Full as full:
                tasks = list(full.rest)
        return False

    # Nothing is kept in variables here, while this waits: tasks are the user's objects.
    while (submitted := taskqueue.get()) is not None:
        is_put = _feed_all(*submitted, cache, put)
        submitted = None
        if not is_put:
            break
    workers.results.put(None)
    put([None] * len(workers.all))
    util.debug("task handler exiting")


def _feed_all(sequence: Any, set_length: Any, cache: Any, put: Callable[[list[Any]], bool]) -> bool:
    """Puts what was submitted in one call. Whether the pool still runs."""
    # Those of an iterable that may take its time go out one by one.
    most = _BATCH if set_length is None else 1
    batch: list[Any] = []
    i = -1
    for job, i, function, args, kwargs in sequence:
        try:
            batch.append((job, i, seal((function, args, kwargs))))
        except Exception as error:
            _settle(cache, job, i, (False, error))
        if len(batch) >= most:
            if not put(batch):
                return False
            batch = []
    if not put(batch):
        return False
    if set_length:
        set_length(i + 1)
    return True


def _collect(workers: Workers, taskqueue: Any, cache: Any, change_notifier: Any) -> None:
    """Hands results out to those who wait for them."""
    thread = threading.current_thread()
    last_of: dict[int, tuple[int, int]] = {}
    is_fed = False
    while thread._state != TERMINATE and not (is_fed and not cache):
        if _hand_out(workers.results.get_many(_BATCH), cache, last_of):
            is_fed = True
    util.debug("result handler exiting")


def _hand_out(results: list[Any], cache: Any, last_of: dict[int, tuple[int, int]]) -> bool:
    """Hands out some. Whether the end of all tasks was among them."""
    is_end = False
    for result in results:
        if result is None:
            is_end = True
            continue
        job, i, seat, ok, sealed, told = result
        if seat >= 0:
            last_of[seat] = job, i
        elif (job, i) in last_of.values():
            # Its worker died after it had sent the result.
            continue
        ok, value = opened(ok, sealed, told)
        _settle(cache, job, i, (ok, value))
    return is_end


def _settle(cache: Any, job: int, i: int, result: tuple[bool, Any]) -> None:
    try:
        waiting = cache[job]
    except KeyError:
        return
    waiting._set(i, result)


def _end(
    workers: Workers,
    cache: Any,
    change_notifier: Any,
    worker_handler: threading.Thread,
    task_handler: threading.Thread,
    result_handler: threading.Thread,
) -> None:
    """Ends a pool at once. Called once, by `terminate`, by the garbage collector or at exit."""
    util.debug("finalizing pool")
    for thread in (worker_handler, task_handler, result_handler):
        thread._state = TERMINATE  # type: ignore[attr-defined]
    change_notifier.put(None)
    # One that a task has started need not wait for itself.
    me = threading.current_thread()
    if worker_handler is not me:
        worker_handler.join()
    workers.terminate()
    if task_handler is not me:
        task_handler.join()
    workers.results.put(None)
    if result_handler is not me:
        result_handler.join()
