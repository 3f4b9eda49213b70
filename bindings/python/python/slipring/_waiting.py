"""Waiting for a descriptor in asyncio programs."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from weakref import WeakKeyDictionary


class Readiness:
    """Coroutines that wait until an object is ready, in any number of event loops.

    `fileno` gives a descriptor that is readable while the object may be ready; `is_ready` looks, and has it unreadable
    if it is not. One coroutine is woken at a time, and the descriptor stays readable: if that one was cancelled, or
    takes nothing, the loop's next turn wakes the next one.
    """

    def __init__(self, fileno: Callable[[], int], is_ready: Callable[[], bool]) -> None:
        self._fileno = fileno
        self._is_ready = is_ready
        self._lines: WeakKeyDictionary[asyncio.AbstractEventLoop, Line] = WeakKeyDictionary()

    async def wait(self) -> None:
        """Returns when it is time to try; that may be in vain."""
        if self._is_ready():
            # Who tries in vain again and again lets others run.
            return await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        line = self._lines.get(loop)
        if line is None:
            line = self._lines[loop] = Line()
        if not line.turns:
            line.fd = self._fileno()
            loop.add_reader(line.fd, self._wake_one, line)
        turn = loop.create_future()
        line.turns.append(turn)
        try:
            await turn
        finally:
            line.turns.remove(turn)
            if not line.turns and line.fd >= 0:
                loop.remove_reader(line.fd)

    def end(self) -> None:
        """Wakes all: the object is about to be closed, and the descriptors with it."""
        for loop, line in list(self._lines.items()):
            try:
                here = asyncio.get_running_loop() is loop
            except RuntimeError:
                here = False
            if here:
                self._end_line(loop, line)
            elif not loop.is_closed():
                loop.call_soon_threadsafe(self._end_line, loop, line)

    def _end_line(self, loop: asyncio.AbstractEventLoop, line: Line) -> None:
        if line.turns and line.fd >= 0:
            loop.remove_reader(line.fd)
            line.fd = -1
        for turn in line.turns:
            if not turn.done():
                turn.set_result(None)

    def _wake_one(self, line: Line) -> None:
        if not self._is_ready():
            return
        for turn in line.turns:
            if not turn.done():
                turn.set_result(None)
                return


class Line:
    """Those who wait in one event loop, and the descriptor that it watches for them."""

    def __init__(self) -> None:
        self.turns: deque[asyncio.Future[None]] = deque()
        self.fd = -1
