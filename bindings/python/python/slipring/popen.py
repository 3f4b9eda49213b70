"""Processes that are started afresh, and what they are given on their way."""

from __future__ import annotations

from multiprocessing import forkserver, popen_forkserver, popen_spawn_posix
from typing import Any

from slipring import _default


class Arrival(str):
    """A process's name, which when it is unpickled there makes slipring in that process what it is in this one.

    The name is the first thing that a new process unpickles: before its main module, which may use slipring.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        # None as long as it is the platform's.
        start_method = _default.context.get_start_method(allow_none=True)
        # Unpickled before the process has this one's `sys.path`, on which alone slipring may be.
        code = (
            f"(__import__('sys').path.append({_default.FOLDER!r}), "
            f"__import__('slipring.arrival').arrival.arrive("
            f"{str(self)!r}, {start_method!r}, {_default.patched!r}))[1]"
        )
        return eval, (code,)


class _Popen:
    """Keeps what the process is given until it is started."""

    def duplicate_for_child(self, fd: int) -> int:
        # The same descriptor is asked for once for each object that has to do with it.
        known = self.__dict__.setdefault("_slipring_known", {})
        if fd not in known:
            known[fd] = super().duplicate_for_child(fd)  # type: ignore[misc]
        return known[fd]

    def _launch(self, process_obj: Any) -> None:
        name = process_obj._name
        process_obj._name = Arrival(name)
        try:
            super()._launch(process_obj)  # type: ignore[misc]
        except BaseException:
            self._leave("abandon")
            raise
        finally:
            process_obj._name = name
        self._leave("close")

    def _leave(self, how: str) -> None:
        voyage = self.__dict__.pop("_slipring_voyage", None)
        if voyage is not None:
            getattr(voyage.berths, how)()


class SpawnPopen(_Popen, popen_spawn_posix.Popen):
    """A process that is a new interpreter."""


class ForkServerPopen(_Popen, popen_forkserver.Popen):
    """A process that the fork server forks."""

    def _launch(self, process_obj: Any) -> None:
        # The server may import the main module, whose classes are then derived from what is there.
        modules = forkserver._forkserver._preload_modules  # type: ignore[attr-defined]
        if _default.patched and modules and _PATCHING not in modules:
            forkserver._forkserver._preload_modules = [_PATCHING, *modules]  # type: ignore[attr-defined]
        super()._launch(process_obj)


_PATCHING = "slipring._children.forkserver"
