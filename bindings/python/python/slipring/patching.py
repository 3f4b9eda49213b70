"""Putting slipring in the place of multiprocessing, for programs that are not to be changed.

    python -m slipring SCRIPT [ARGS]

runs a script so. A program can do it itself, before it uses multiprocessing:

    import slipring
    slipring.patch()

Processes that it starts by multiprocessing or by fork have it replaced, too. Interpreters that it starts in another
way, by `subprocess` say, have not, unless it asks for that:

    slipring.patch(children=True)
"""

from __future__ import annotations

import importlib
import multiprocessing
import os
import types
from multiprocessing import context as _standard
from typing import Any

from slipring import _default
from slipring import context as ours

__all__ = ["is_patched", "patch", "unpatch"]

#: In which modules what is replaced, by what is called the same in ours. `connection.Connection` is what the standard
#: library makes of sockets, too.
_REPLACED = {
    "connection": ["Pipe", "wait"],
    "pool": ["Pool"],
    "queues": ["JoinableQueue", "Queue", "SimpleQueue"],
    "reduction": ["recv_handle", "send_handle"],
    "sharedctypes": ["Array", "RawArray", "RawValue", "Value", "copy", "synchronized"],
    "synchronize": [
        "Barrier",
        "BoundedSemaphore",
        "Condition",
        "Event",
        "Lock",
        "RLock",
        "Semaphore",
    ],
}

#: What the module multiprocessing makes by itself, and not by what is in its modules.
_MAKERS = {name for names in _REPLACED.values() for name in names} - {"copy", "synchronized"}

#: What was there before, as `(where, name, value)`.
_before: list[tuple[Any, str, Any]] = []

#: For interpreters that are started: here is their `sitecustomize.py`, and this has it do something.
_CHILDREN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "_children")
_ASKED = "SLIPRING_PATCH"


def patch(*, children: bool = False) -> None:
    """Puts slipring's contexts, and what they make, in the place of multiprocessing's: in this process, and in those
    that it starts from now on by multiprocessing or by fork. A second call does nothing.

    What was imported from multiprocessing before stays what it was: call it first.

    With `children=True` the interpreters that are started in any other way are patched as well, by `subprocess` or by a
    shell, and those that they start. They find it in their environment: this sets `SLIPRING_PATCH`, and puts a folder
    with a `sitecustomize.py` on `PYTHONPATH`. An interpreter that gets another environment, or is told to ignore it
    (`python -I`, `-E`, `-S`), is not patched.
    """
    if children:
        _ask_children()
    if _default.patched:
        return
    # Its queue is made of multiprocessing's own, and stays so.
    import concurrent.futures.process  # noqa: F401

    _default.patched = True
    for method, context in ours._concrete_contexts.items():
        _before.append((_standard._concrete_contexts, method, _standard._concrete_contexts[method]))
        _standard._concrete_contexts[method] = context
    standard = _standard._default_context
    for slot in ("_default_context", "_actual_context"):
        known = getattr(standard, slot)
        if known is not None:
            _replace(standard, slot, ours._concrete_contexts[known.get_start_method()])
    _replace(ours._default_context, "_chooser", standard)
    for name in multiprocessing.__all__:
        if name in _MAKERS:
            _replace(multiprocessing, name, getattr(ours._default_context, name))
    for module, names in _REPLACED.items():
        theirs = importlib.import_module(f"multiprocessing.{module}")
        mine = importlib.import_module(f"slipring.{module}")
        _replace(theirs, "__class__", _showing({name: getattr(mine, name) for name in names}))


def _ask_children() -> None:
    _ask_children_no_more()
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{_CHILDREN}{os.pathsep}{path}" if path else _CHILDREN
    os.environ[_ASKED] = "1"


def _ask_children_no_more() -> None:
    os.environ.pop(_ASKED, None)
    path = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if _CHILDREN in path:
        path.remove(_CHILDREN)
        os.environ["PYTHONPATH"] = os.pathsep.join(path)
        if not path:
            del os.environ["PYTHONPATH"]


def unpatch() -> None:
    """Puts everything back. What was made meanwhile goes on working."""
    _ask_children_no_more()
    while _before:
        where, name, value = _before.pop()
        if isinstance(where, dict):
            where[name] = value
        else:
            setattr(where, name, value)
    _default.patched = False


def is_patched() -> bool:
    """Whether slipring is in the place of multiprocessing."""
    return _default.patched


def _showing(names: dict[str, Any]) -> type[types.ModuleType]:
    """A class of modules that show these names to whoever asks them. The module's own functions, which do not ask, find
    what they were written for: what was made of the old classes goes on working, and so do subclasses of them.
    """
    return type("module", (types.ModuleType,), {name: _shown(name, value) for name, value in names.items()})


def _shown(name: str, value: Any) -> property:
    def set(module: types.ModuleType, value: Any) -> None:
        type.__setattr__(type(module), name, _shown(name, value))

    return property(lambda module: value, set)


def _replace(where: Any, name: str, value: Any) -> None:
    _before.append((where, name, getattr(where, name)))
    setattr(where, name, value)
