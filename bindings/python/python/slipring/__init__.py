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

Differences, all of them on purpose, are listed in the package's README.
"""

from __future__ import annotations

import sys as _sys
from typing import Any as _Any

from slipring import _native, context
from slipring._native import SegmentError
from slipring.patching import patch, unpatch

__version__ = _native.version()

_names = [name for name in dir(context._default_context) if not name.startswith("_")]
globals().update((name, getattr(context._default_context, name)) for name in _names)

__all__ = list(_names)
__all__ += ["SegmentError", "WorkerDied", "patch", "unpatch"]


def __getattr__(name: str) -> _Any:
    if name == "WorkerDied":
        # With its module come threads and ctypes, which few programs need.
        from slipring.pool import WorkerDied

        return WorkerDied
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


SUBDEBUG = 5
SUBWARNING = 25

# Set anew by processes that are started.
if "__main__" in _sys.modules:
    _sys.modules.setdefault("__mp_main__", _sys.modules["__main__"])
