"""Which classes were written for the insides of multiprocessing's classes.

A library may derive a class from `multiprocessing.queues.Queue`, override `_feed` there and read `self._reader`. Such a
class works with the standard library's base alone. With ours, what it overrides would never be called.
"""

from __future__ import annotations

import abc
import dis
import functools
import importlib
import itertools
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from slipring import _default


def used_by(written: Iterable[Mapping[str, Any]], theirs: type, ours: frozenset[str]) -> set[str]:
    """The private names of `theirs` that classes define or use, without those that are in `ours` as well.

    A class is given by its namespace: it may not be made yet.
    """
    names = set[str]().union(*map(_names, written))
    return names & (_private_names(theirs) - ours)


def _private_names(cls: type) -> set[str]:
    """The private names of a class: those that it defines, and those of the attributes that its methods set."""
    found = set[str]()
    for each in cls.__mro__:
        found |= vars(each).keys()
        for code in itertools.chain(*map(_codes, vars(each).values())):
            found |= {step.argval for step in dis.get_instructions(code) if step.opname == "STORE_ATTR"}
    return {name for name in found if name.startswith("_") and not name.endswith("__")}


def _names(namespace: Mapping[str, Any]) -> set[str]:
    """What a class defines, and the names and texts in its functions."""
    return set(namespace).union(*map(_names_in, itertools.chain(*map(_codes, namespace.values()))))


def _codes(value: Any) -> Iterator[types.CodeType]:
    """The code of a function, and of those that it is made of: properties, decorated functions and the like."""
    todo, seen = [value], list[types.FunctionType]()
    while todo:
        part = todo.pop()
        if isinstance(part, property):
            todo += part.fget, part.fset, part.fdel
        elif isinstance(part, (classmethod, staticmethod)):
            todo.append(part.__func__)
        elif isinstance(part, (functools.cached_property, functools.partial, functools.partialmethod)):
            todo.append(part.func)
        elif isinstance(part, types.FunctionType) and part not in seen:
            seen.append(part)
            # What was decorated is there.
            todo += [cell.cell_contents for cell in part.__closure__ or () if _is_filled(cell)]
            yield part.__code__


def _is_filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _names_in(code: types.CodeType) -> set[str]:
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= _names_in(constant)
        elif isinstance(constant, str):
            # getattr(self, "_reader")
            found.add(constant)
    return found


class Replacing(abc.ABCMeta):
    """The type of the classes that `patch` puts in the place of multiprocessing's, and that others derive classes from.

    While they stand there, a class that uses multiprocessing's private names gets multiprocessing's own class as its
    base. `isinstance` and `issubclass` take such a class for one of ours.

    It is one of abstract classes: others derive from ours and from `abc.ABC` together.
    """

    def __new__(mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any) -> Any:
        # As `type` does it, which would find this module.
        namespace.setdefault("__module__", sys._getframe(1).f_globals.get("__name__"))
        ours = [base for base in _all_bases(bases) if _is_ours(base)]
        if not _default.patched or not ours:
            return super().__new__(mcls, name, bases, namespace, **options)
        theirs = standard(ours[0])
        written = [vars(base) for base in _all_bases(bases) if not _is_ours(base) and base not in theirs.__mro__]
        used = used_by([namespace, *written], theirs, _HAVE)
        if not used:
            return super().__new__(mcls, name, bases, namespace, **options)
        if not any(_is_ours(base) for base in bases):
            raise TypeError(
                f"class {name!r} uses {', '.join(sorted(used))}: multiprocessing's {theirs.__name__} has that, and "
                f"slipring's has not, from which its base {bases[0].__name__!r} was derived. Use the name in a method "
                f"of {bases[0].__name__!r}, too: then both are derived from multiprocessing's {theirs.__name__}"
            )
        bases = tuple(standard(base) if _is_ours(base) else base for base in bases)
        return types.new_class(name, bases, options, lambda body: body.update(namespace))

    def __instancecheck__(cls, instance: Any) -> bool:
        return super().__instancecheck__(instance) or _counts(cls, type(instance))

    def __subclasscheck__(cls, subclass: type) -> bool:
        return super().__subclasscheck__(subclass) or _counts(cls, subclass)


#: What our queues have, too, and use as multiprocessing's do.
_HAVE = frozenset({"_closed", "_maxsize", "_on_queue_feeder_error"})


def standard(ours: type) -> type:
    """The class of multiprocessing's that one of ours stands for."""
    return vars(importlib.import_module(ours.__module__.replace("slipring", "multiprocessing")))[ours.__name__]


def _is_ours(cls: type) -> bool:
    return isinstance(cls, Replacing) and cls.__module__.startswith("slipring.")


def _all_bases(bases: tuple[type, ...]) -> list[type]:
    return list(dict.fromkeys(each for base in bases for each in base.__mro__))


def _counts(cls: type, other: type) -> bool:
    return _default.patched and _is_ours(cls) and standard(cls) in other.__mro__
