"""ctypes objects in shared memory, with and without a lock, as `multiprocessing.sharedctypes` has them.

    >>> from slipring.sharedctypes import Array, Value
    >>> counter = Value("i", 7)
    >>> with counter.get_lock():
    ...     counter.value += 1
    >>> counter.value
    8
    >>> Array("d", [1.0, 2.0])[:]
    [1.0, 2.0]

With `name=` a raw object is that of all programs which use that name; they have to agree on what it is.
"""

from __future__ import annotations

import ctypes
import weakref
from multiprocessing import sharedctypes as _standard
from typing import Any

from slipring import _native
from slipring._native import Synchronized as Synchronized
from slipring._native import SynchronizedArray as SynchronizedArray
from slipring._native import SynchronizedBase as SynchronizedBase
from slipring._native import SynchronizedString as SynchronizedString
from slipring.reduction import ForkingPickler, assert_spawning, reduce_native

__all__ = ["Array", "RawArray", "RawValue", "Value", "copy", "synchronized"]

typecode_to_type = {
    "c": ctypes.c_char,
    "u": ctypes.c_wchar,
    "b": ctypes.c_byte,
    "B": ctypes.c_ubyte,
    "h": ctypes.c_short,
    "H": ctypes.c_ushort,
    "i": ctypes.c_int,
    "I": ctypes.c_uint,
    "l": ctypes.c_long,
    "L": ctypes.c_ulong,
    "q": ctypes.c_longlong,
    "Q": ctypes.c_ulonglong,
    "f": ctypes.c_float,
    "d": ctypes.c_double,
}


def RawValue(typecode_or_type: Any, *args: Any, name: str | None = None) -> Any:
    """A ctypes object in shared memory, made of `args`.

    >>> RawValue("d", 2.5).value
    2.5
    """
    type_ = typecode_to_type.get(typecode_or_type, typecode_or_type)
    obj = _new_value(type_, name)
    if args or name is None:
        obj.__init__(*args)
    return obj


def RawArray(typecode_or_type: Any, size_or_initializer: Any, *, name: str | None = None) -> Any:
    """A ctypes array in shared memory: of so many zeros, or of what the initializer has.

    >>> RawArray("i", 3)[:]
    [0, 0, 0]
    """
    type_ = typecode_to_type.get(typecode_or_type, typecode_or_type)
    if isinstance(size_or_initializer, int):
        return _new_value(type_ * size_or_initializer, name)
    result = _new_value(type_ * len(size_or_initializer), name)
    result.__init__(*size_or_initializer)
    return result


def Value(typecode_or_type: Any, *args: Any, lock: Any = True, ctx: Any = None) -> Any:
    """A ctypes object in shared memory with a lock: a new `RLock`, or the one given; `lock=False` is a `RawValue`."""
    return _with_lock(RawValue(typecode_or_type, *args), lock, ctx)


def Array(typecode_or_type: Any, size_or_initializer: Any, *, lock: Any = True, ctx: Any = None) -> Any:
    """A ctypes array in shared memory with a lock: a new `RLock`, or the one given; `lock=False` is a `RawArray`."""
    return _with_lock(RawArray(typecode_or_type, size_or_initializer), lock, ctx)


def _with_lock(obj: Any, lock: Any, ctx: Any) -> Any:
    if lock is False:
        return obj
    if lock in (True, None):
        lock = None
    elif not hasattr(lock, "acquire"):
        raise AttributeError(f"{lock!r} has no method 'acquire': pass a lock, True or False")
    return synchronized(obj, lock, ctx)


def copy(obj: Any) -> Any:
    """A copy of a ctypes object, in shared memory.

    >>> copy(ctypes.c_short(3)).value
    3
    """
    new = _new_value(type(obj), None)
    ctypes.pointer(new)[0] = obj
    return new


def synchronized(obj: Any, lock: Any = None, ctx: Any = None) -> Any:
    """A wrapper of a ctypes object that takes the lock around each access."""
    assert not isinstance(obj, SynchronizedBase), "object already synchronized"
    if isinstance(obj, ctypes._SimpleCData):
        return Synchronized(obj, lock, ctx)
    if isinstance(obj, ctypes.Array):
        if obj._type_ is ctypes.c_char:
            return SynchronizedString(obj, lock, ctx)
        return SynchronizedArray(obj, lock, ctx)
    return _class_of(type(obj))(obj, lock, ctx)


#: The wrappers of structures.
_classes: weakref.WeakKeyDictionary[type, type] = weakref.WeakKeyDictionary()


def _class_of(cls: Any) -> type:
    """The wrapper of a structure: it has the structure's fields."""
    if cls not in _classes:
        fields = {field[0]: make_property(field[0]) for field in cls._fields_}
        _classes[cls] = type(f"Synchronized{cls.__name__}", (SynchronizedBase,), fields)
    return _classes[cls]


def make_property(name: str) -> property:
    """A field that is read and written with the lock held."""

    def get(self: Any) -> Any:
        with self:
            return getattr(self._obj, name)

    def set(self: Any, value: Any) -> None:
        with self:
            setattr(self._obj, name, value)

    return property(get, set)


def _new_value(type_: Any, name: str | None) -> Any:
    size, align = ctypes.sizeof(type_), ctypes.alignment(type_)
    if name is None:
        return rebuild_ctype(type_, _native.Block(1, 1, max(size, 1)), None)
    item = getattr(type_, "_type_", type_) if issubclass(type_, ctypes.Array) else type_
    count = size // max(ctypes.sizeof(item), 1)
    block = _native.Block(ctypes.sizeof(item), align, count, name=name)
    if block._items() != (ctypes.sizeof(item), align, count):
        raise TypeError(f"{name!r} has items of another type or number: {block._items()} (size, alignment, number)")
    return rebuild_ctype(type_, block, None)


def _reduce_block(block: _native.Block) -> tuple[Any, ...]:
    if block.name is not None:
        return _named_block, (*block._items(), block.name)
    assert_spawning(block)
    return reduce_native(block)


def _named_block(size: int, align: int, count: int, name: str) -> _native.Block:
    return _native.Block(size, align, count, name=name)


def _reduce_synchronized(wrapper: Any, obj: Any, lock: Any) -> tuple[Any, ...]:
    assert_spawning(wrapper)
    return synchronized, (obj, lock)


def reduce_ctype(obj: Any) -> tuple[Any, ...]:
    """How a ctypes object in shared memory is pickled while a process is being started."""
    if not isinstance(obj._wrapper, _native.Block):
        return _standard.reduce_ctype(obj)
    if obj._wrapper.name is None:
        assert_spawning(obj)
    if isinstance(obj, ctypes.Array):
        return rebuild_ctype, (obj._type_, obj._wrapper, obj._length_)
    return rebuild_ctype, (type(obj), obj._wrapper, None)


def rebuild_ctype(type_: Any, wrapper: _native.Block, length: int | None) -> Any:
    """The ctypes object that lies in a block."""
    if length is not None:
        type_ = type_ * length
    ForkingPickler.register(type_, reduce_ctype)
    obj = type_.from_buffer(wrapper)
    obj._wrapper = wrapper
    return obj
