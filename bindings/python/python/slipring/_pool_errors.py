"""The errors of pools: what they say, and how they come to who waits for a result."""

from __future__ import annotations

import signal
from multiprocessing import pool as _standard
from multiprocessing.context import ProcessError
from multiprocessing.pool import MaybeEncodingError, RemoteTraceback
from typing import Any

from slipring._worker import Unreadable, seal, tell, unseal

#: Arguments are shown in errors up to so many characters.
_SHOWN = 120


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
            f"{_describe(self.task)} was not finished: its worker (pid {self.pid}) {how_it_ended(self.exitcode)}; "
            "the pool goes on, submit it again if it may be done twice"
        )


def how_it_ended(exitcode: int | None) -> str:
    """What an exit code says of a process."""
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


def submitted(task: Any) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
    """What the user submitted, of what the pool made of it."""
    function, args, kwargs = task
    if function in (_standard.mapstar, _standard.starmapstar):
        function, args = args[0]
    return function, tuple(args), dict(kwargs)


def opened(ok: bool, sealed: bytes, told: tuple[str, str] | None) -> tuple[bool, Any]:
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


def sealed_error(error: BaseException) -> bytes:
    """An error of the pool's own; nothing if it cannot be pickled, with what it has of the user's."""
    try:
        return seal(error)
    except Exception:
        return b""


for _error in (PoolBroken, UnreadableResult, WorkerDied):
    # Where they are found, and where other processes look for them.
    _error.__module__ = "slipring.pool"
