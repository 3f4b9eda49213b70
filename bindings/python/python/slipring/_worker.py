"""What a worker of a pool does, in its process; and how tasks and results are wrapped on their way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from multiprocessing import pool as _standard
from multiprocessing import util
from multiprocessing.pool import ExceptionWithTraceback, MaybeEncodingError
from typing import Any

from slipring import _native
from slipring.queues import JoinableQueue, Queue


class Unreadable:
    """What was received and cannot be unpickled: why."""

    def __init__(self, error: Exception):
        self.error = error


def seal(value: Any) -> bytes:
    """A value pickled by itself, so that whoever receives what it is part of has the rest in any case."""
    return _native.encode_message(value)


def unseal(sealed: bytes) -> Any:
    """The value, or why it cannot be unpickled."""
    try:
        return _native.decode_message(sealed)
    except Exception as error:
        return Unreadable(error)


def work(
    tasks: JoinableQueue,
    results: Queue,
    working_at: Any,
    seat: int,
    initializer: Callable[..., Any] | None,
    initargs: Sequence[Any],
    maxtasks: int | None,
    wrap_exception: bool,
) -> None:
    """What a worker does. `working_at` has two numbers for each worker: the job and the task that it is at."""
    if initializer is not None:
        initializer(*initargs)
    completed = 0
    job_at, task_at = 2 * seat, 2 * seat + 1
    while maxtasks is None or completed < maxtasks:
        task = tasks.get()
        if task is None:
            util.debug("worker got sentinel -- exiting")
            tasks.task_done()
            break
        job, i, call = task
        working_at[task_at] = i
        working_at[job_at] = job
        ok, value = _run(unseal(call), wrap_exception)
        try:
            sealed = seal(value)
        except Exception as error:
            wrapped = MaybeEncodingError(error, value)
            util.debug(f"possible encoding error while sending result: {wrapped}")
            ok, sealed = False, seal(wrapped)
        results.put((job, i, seat, ok, sealed))
        # Not before: a task whose result was not sent comes back.
        tasks.task_done()
        working_at[job_at] = -1
        task = call = value = sealed = None
        completed += 1
    util.debug(f"worker exiting after {completed} tasks")


def _run(call: Any, wrap_exception: bool) -> tuple[bool, Any]:
    try:
        if isinstance(call, Unreadable):
            raise call.error
        function, args, kwargs = call
        return True, function(*args, **kwargs)
    except Exception as error:
        if wrap_exception and (isinstance(call, Unreadable) or function is not _standard._helper_reraises_exception):
            error = ExceptionWithTraceback(error, error.__traceback__)
        return False, error
