"""What a worker of a pool does, in its process; and how tasks and results are wrapped on their way."""

from __future__ import annotations

import os
import traceback
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


def tell(error: BaseException) -> tuple[str, str]:
    """What an error says, and its traceback. Both are texts, which can be sent whatever the error is."""
    return "".join(traceback.format_exception_only(error)).strip(), "".join(traceback.format_exception(error))


#: A worker is "at" these jobs as long as it is not ready, and when it waits for a task.
STARTING, IDLE = -2, -1


def work(
    tasks: JoinableQueue,
    results: Queue,
    failures: Queue | None,
    working_at: Any,
    seat: int,
    initializer: Callable[..., Any] | None,
    initargs: Sequence[Any],
    maxtasks: int | None,
    wrap_exception: bool,
) -> None:
    """What a worker does. `working_at` has two numbers for each worker: the job and the task that it is at."""
    if initializer is not None:
        _initialize(initializer, initargs, failures)
    completed = 0
    job_at, task_at = 2 * seat, 2 * seat + 1
    working_at[job_at] = IDLE
    while maxtasks is None or completed < maxtasks:
        task = tasks.get()
        if task is None:
            util.debug("worker got sentinel -- exiting")
            tasks.task_done()
            break
        job, i, call = task
        working_at[task_at] = i
        working_at[job_at] = job
        # Of an error, what it says: it may not be possible to make the error again where it is received.
        ok, value, told = _run(unseal(call), wrap_exception)
        try:
            sealed = seal(value)
        except Exception as error:
            wrapped = MaybeEncodingError(error, value)
            util.debug(f"possible encoding error while sending result: {wrapped}")
            # Of an error that cannot be sent the receiver has what it says.
            sealed = seal(wrapped) if ok else b""
            ok = False
        results.put((job, i, seat, ok, sealed, told))
        # Not before: a task whose result was not sent comes back.
        tasks.task_done()
        working_at[job_at] = IDLE
        task = call = value = sealed = told = None
        completed += 1
    util.debug(f"worker exiting after {completed} tasks")


def _initialize(initializer: Callable[..., Any], initargs: Sequence[Any], failures: Any) -> None:
    try:
        initializer(*initargs)
    except BaseException as error:
        # What is above the initializer is of no use to its author.
        failures.put((os.getpid(), tell(error.with_traceback(error.__traceback__ and error.__traceback__.tb_next))))
        raise


def _run(call: Any, wrap_exception: bool) -> tuple[bool, Any, tuple[str, str] | None]:
    try:
        if isinstance(call, Unreadable):
            raise call.error
        function, args, kwargs = call
        return True, function(*args, **kwargs), None
    except Exception as error:
        told = tell(error)
        if wrap_exception and (isinstance(call, Unreadable) or function is not _standard._helper_reraises_exception):
            error = ExceptionWithTraceback(error, error.__traceback__)
        return False, error, told
