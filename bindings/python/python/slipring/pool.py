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

import collections
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing import pool as _standard
from multiprocessing import util
from multiprocessing.context import ProcessError, TimeoutError
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
from slipring._worker import STARTING, Unreadable, seal, tell, unseal, work
from slipring.connection import wait
from slipring.queues import JoinableQueue, Queue, SimpleQueue
from slipring.sharedctypes import RawArray

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

#: How many tasks wait in shared memory at most; the rest wait where they are.
_WAITING_TASKS = 1024
#: How many tasks or results are moved in one step at most.
_BATCH = 64
#: Seconds after which whoever waits for room looks whether the pool has ended, and for tasks of the dead.
_PATIENCE = 0.2
#: Arguments are shown in errors up to so many characters.
_SHOWN = 120
#: After so many workers in succession that ended before they were ready the pool hesitates to start more: so many that
#: ended by themselves, or so many that were killed, which may be chance.
_FAILED, _KILLED = 3, 20
#: Seconds between new workers then, as long as others work.
_PAUSE = 5.0


class WorkerDied(ProcessError):
    """A task of a pool was not finished, because its worker was killed or exited.

    `task` is `(function, args, kwargs)`; of a chunk of `map` the arguments are its items. `exitcode` is the worker's,
    as `Process.exitcode`: -9 for one that was killed by signal 9. `pid` is the process id that it had.
    """

    def __init__(self, task: tuple[Any, tuple[Any, ...], dict[str, Any]], exitcode: int | None, pid: int):
        super().__init__(task, exitcode, pid)
        self.task = task
        self.exitcode = exitcode
        self.pid = pid

    def __str__(self) -> str:
        return (
            f"{_describe(self.task)} was not finished: its worker (pid {self.pid}) {_how_it_ended(self.exitcode)}; "
            "the pool goes on, submit it again if it may be done twice"
        )


def _how_it_ended(exitcode: int | None) -> str:
    if exitcode is None:
        return "is dead"
    if exitcode >= 0:
        return f"exited with code {exitcode}"
    try:
        return f"was killed by {signal.Signals(-exitcode).name}"
    except ValueError:
        return f"was killed by signal {-exitcode}"


class PoolBroken(ProcessError):
    """No worker of a pool becomes ready: the initializer fails in all of them, or they end before they come to it.

    It says how the last one ended. If an exception of the initializer did that, its traceback is the error's cause.
    """


class UnreadableResult(MaybeEncodingError):
    """A task's result, or the exception that it raised, cannot be unpickled where it was received.

    It says what the exception said. The exception's traceback, in the worker, is this error's cause.
    """

    def __init__(self, text: str, reason: str, value: str):
        Exception.__init__(self, text, reason, value)
        #: Why, and what it was, as far as it is known: as `MaybeEncodingError` has them.
        self.exc, self.value = reason, value

    def __str__(self) -> str:
        return self.args[0]


def _describe(task: tuple[Any, tuple[Any, ...], dict[str, Any]]) -> str:
    function, args, kwargs = task
    name = getattr(function, "__qualname__", None) or repr(function)
    shown = [_shorten(repr(arg)) for arg in args[:8]] + ["..."] * (len(args) > 8)
    shown += [f"{key}={_shorten(repr(value))}" for key, value in kwargs.items()]
    return _shorten(f"task {name}({', '.join(shown)})", 2 * _SHOWN)


def _shorten(text: str, most: int = _SHOWN) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."


def _submitted(task: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """What the user submitted, of what the pool made of it."""
    function, args, kwargs = task
    if function in (_standard.mapstar, _standard.starmapstar):
        function, args = args[0]
    return function, tuple(args), dict(kwargs)


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
        self._slipring_workers: _Workers | None = None
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
        workers = self._slipring_workers = _Workers(self)
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


class _Workers:
    """The processes of a pool, and the two queues that they work at."""

    def __init__(self, pool: Pool):
        self.ctx = pool._ctx
        self.count = pool._processes
        self.new = pool.Process
        self.rest = (
            pool._initializer,
            pool._initargs,
            pool._maxtasksperchild,
            pool._wrap_exception,
        )
        self.all: list[Any] = []
        #: Those that exited last: what each was at, its exit code and process id.
        self.dead: collections.deque[tuple[tuple[int, int], int | None, int]] = collections.deque(
            maxlen=64 + 4 * self.count
        )
        self.tasks = JoinableQueue(_WAITING_TASKS, max_deliveries=1, ctx=self.ctx)
        self.results = Queue(ctx=self.ctx)
        #: What exceptions of the initializer say, on their way and by process id.
        self.failures = None if pool._initializer is None else Queue(ctx=self.ctx)
        self.told: dict[int, tuple[str, str]] = {}
        self.working_at = RawArray("q", [STARTING] * (2 * self.count))
        self.unready = _Unready()

    def fill(self, most: int | None = None) -> None:
        """Starts as many as are missing, or not more than that."""
        taken = {worker._slipring_seat for worker in self.all}
        missing = [seat for seat in range(self.count) if seat not in taken]
        for seat in missing[:most]:
            self.working_at[2 * seat] = STARTING
            args = (self.tasks, self.results, self.failures, self.working_at, seat, *self.rest)
            worker = self.new(self.ctx, target=work, args=args)
            worker._slipring_seat = seat
            worker._slipring_trial = self.unready.are_too_many()
            worker.name = worker.name.replace("Process", "PoolWorker")
            worker.daemon = True
            worker.start()
            self.all.append(worker)
            util.debug("added worker")

    def replace_exited(self) -> None:
        """Cleans up after those that have exited, fails what they were at, and starts new ones."""
        exited = [worker for worker in self.all if worker.exitcode is not None]
        self._hear_failures()
        for worker in exited:
            util.debug(f"cleaning up worker {worker.name}")
            worker.join()
            self.all.remove(worker)
            # The next one in its seat notes there what it is at.
            at = self._at(worker)
            self.dead.append((at, worker.exitcode, worker.pid))
            self.unready.note(at[0] != STARTING, worker.exitcode, worker.pid, self.told.pop(worker.pid, None))
        if self.dead:
            self._fail_what_came_back()
        for worker in self.all:
            if worker._slipring_trial and self._at(worker)[0] != STARTING:
                # There is hope again.
                worker._slipring_trial = False
                self.unready.forget()
        if not self.unready.are_too_many():
            self.fill()
        elif self.all and self.unready.is_time():
            self.fill(1)

    def _hear_failures(self) -> None:
        """Takes what the initializer has raised: a worker says it before it exits."""
        while self.failures is not None:
            try:
                self.told.update([self.failures.get_nowait()])
            except queue.Empty:
                break

    def are_broken(self) -> bool:
        """Whether there are none, and no more are started."""
        return not self.all and self.unready.are_too_many()

    def fail_a_task(self) -> None:
        """What is done with tasks when there are no workers. Waits for one, for a moment."""
        try:
            task = self.tasks.get(timeout=_PATIENCE)
        except queue.Empty:
            return
        if task is not None:
            job, i, _ = task
            self.results.put((job, i, -1, False, seal(PoolBroken(str(self.unready))), self.unready.told))
        self.tasks.task_done()

    def _at(self, worker: Any) -> tuple[int, int]:
        """The job and the task that a worker is at."""
        seat = 2 * worker._slipring_seat
        return self.working_at[seat], self.working_at[seat + 1]

    def _fail_what_came_back(self) -> None:
        for task, _ in self.tasks.dead_letters():
            if task is None:
                continue
            job, i, sealed = task
            call = unseal(sealed)
            call = (None, (), {}) if isinstance(call, Unreadable) else call
            error = WorkerDied(_submitted(call), *self._end_of_who_was_at(job, i))
            # Behind what the worker may have sent: if that was the result, this comes too late.
            self.results.put((job, i, -1, False, _sealed_error(error), tell(error)))

    def _end_of_who_was_at(self, job: int, i: int) -> tuple[int | None, int]:
        """The exit code and the process id of the worker that was at a task."""
        for at, exitcode, pid in self.dead:
            if at == (job, i):
                return exitcode, pid
        for worker in self.all:
            if self._at(worker) == (job, i):
                # One whose end was not reported yet is as dead as the others: its task came back.
                worker.join(_PATIENCE)
                return worker.exitcode, worker.pid
        # It had just taken the task. Which of several that was is not known.
        ends = [(exitcode, pid) for _, exitcode, pid in reversed(self.dead)]
        return next((end for end in ends if end[0]), ends[0])

    def terminate(self) -> None:
        """Ends all that run."""
        for worker in self.all:
            if worker.exitcode is None:
                worker.terminate()
        for worker in self.all:
            if worker.is_alive():
                worker.join()


class _Unready:
    """How many workers in succession were never ready for tasks, and how the last one of them ended."""

    def __init__(self) -> None:
        self.failed = self.killed = 0
        self.end: tuple[int | None, int] = (None, 0)
        #: What the initializer's exception said, and its traceback.
        self.told: tuple[str, str] | None = None
        self.next_start = 0.0

    def note(self, was_ready: bool, exitcode: int | None, pid: int, told: tuple[str, str] | None) -> None:
        """Notes that a worker has ended."""
        if was_ready:
            self.forget()
            return
        if exitcode is not None and exitcode < 0:
            self.killed += 1
        else:
            self.failed += 1
        self.end, self.told = (exitcode, pid), told

    def forget(self) -> None:
        """Begins to count anew."""
        self.failed = self.killed = 0

    def are_too_many(self) -> bool:
        """Whether there is little hope for the next one."""
        return self.failed >= _FAILED or self.killed >= _KILLED

    def is_time(self) -> bool:
        """Whether another one may be started nevertheless, once in a while."""
        now = time.monotonic()
        if now < self.next_start:
            return False
        self.next_start = now + _PAUSE
        return True

    def __str__(self) -> str:
        exitcode, pid = self.end
        if self.told is not None:
            why = f"the initializer raised {self.told[0]}"
        else:
            why = f"the last one (pid {pid}) {_how_it_ended(exitcode)}"
        count = self.failed + self.killed
        return f"{count} workers of the pool ended before they were ready for tasks, so no more are started: {why}"


def _start(target: Callable[..., None], *args: Any) -> threading.Thread:
    """A thread of a pool."""
    thread = threading.Thread(target=target, args=args, daemon=True)
    thread._state = RUN  # type: ignore[attr-defined]
    thread.start()
    return thread


def _maintain(workers: _Workers, taskqueue: Any, cache: Any, change_notifier: Any) -> None:
    """Replaces workers that exit, until the pool is closed and everything is done."""
    thread = threading.current_thread()
    while thread._state == RUN or (cache and thread._state != TERMINATE):
        workers.replace_exited()
        if workers.are_broken():
            workers.fail_a_task()
        else:
            # While somebody else repairs what a death left, its task has not come back yet: it is looked for again.
            patience = _PATIENCE if (workers.dead and cache) or workers.unready.are_too_many() else None
            wait([*(worker.sentinel for worker in workers.all), change_notifier._reader], patience)
        while not change_notifier.empty():
            change_notifier.get()
    taskqueue.put(None)
    util.debug("worker handler exiting")


def _feed(workers: _Workers, taskqueue: Any, cache: Any, change_notifier: Any) -> None:
    """Puts tasks where workers find them."""
    thread = threading.current_thread()

    def put(tasks: list[Any]) -> bool:
        while thread._state == RUN:
            try:
                workers.tasks.put_many(tasks, timeout=_PATIENCE)
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


def _collect(workers: _Workers, taskqueue: Any, cache: Any, change_notifier: Any) -> None:
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
        ok, value = _opened(ok, sealed, told)
        _settle(cache, job, i, (ok, value))
    return is_end


def _opened(ok: bool, sealed: bytes, told: tuple[str, str] | None) -> tuple[bool, Any]:
    """A result, or an error, as it is handed out. `told` is what an error has said in the worker."""
    value = unseal(sealed) if sealed else None
    if not sealed:
        value = _unreadable(told, "cannot be pickled")
    elif isinstance(value, Unreadable):
        error, value = value.error, _unreadable(told, f"cannot be unpickled: {tell(value.error)[0]}", value.error)
        value.__cause__ = error
    elif not isinstance(value, PoolBroken):
        return ok, value
    if told is not None:
        value.__cause__ = RemoteTraceback(f'\n"""\n{told[1]}"""')
    return False, value


def _unreadable(told: tuple[str, str] | None, why: str, error: Exception | None = None) -> UnreadableResult:
    what = "the task's result" if told is None else f"the task raised {told[0]}; this exception"
    return UnreadableResult(f"{what} {why}", repr(error), "a result" if told is None else told[0])


def _sealed_error(error: BaseException) -> bytes:
    """An error of the pool's own; nothing if it cannot be pickled, with what it has of the user's."""
    try:
        return seal(error)
    except Exception:
        return b""


def _settle(cache: Any, job: int, i: int, result: tuple[bool, Any]) -> None:
    try:
        waiting = cache[job]
    except KeyError:
        return
    waiting._set(i, result)


def _end(
    workers: _Workers,
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
