"""Fitted forecasters as bytes and back: MessagePack, typed, no pickle.

A fitted forecaster is a frozen dataclass of numbers, strings, tuples and numpy arrays. Its class is found by
the name it was registered under, and every field is checked against its annotation on reading, so bytes from
a foreign or damaged file raise InvalidState and never run code. Equal models give equal bytes.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
import numpy as np

from forecasting.errors import InvalidState

if TYPE_CHECKING:
    from collections.abc import Hashable

    from forecasting.forecaster import FittedForecaster

__all__ = ["Packed", "dumps", "loads", "stored_as"]

_classes: dict[str, type[Any]] = {}
_T = TypeVar("_T")


class Packed(msgspec.Struct, frozen=True, array_like=True):
    """A fitted forecaster inside another one's state, or inside a file: the kind's name and its fields."""

    kind: str
    fields: msgspec.Raw


class _Array(msgspec.Struct, frozen=True, array_like=True):
    dtype: str
    shape: tuple[int, ...]
    data: bytes


_DTYPES = ("<f8", "<f4", "<i8", "<i4", "<i2", "|i1", "|u1", "<u2", "|b1")


def stored_as(kind: str) -> Any:  # noqa: ANN401  # a class decorator that leaves the type alone
    """Class decorator: instances are stored under `kind`. A name is given once and kept for ever."""

    def register(cls: type[_T]) -> type[_T]:
        if kind in _classes:
            raise InvalidState(f"two classes are stored as {kind!r}: {_classes[kind].__name__}, {cls.__name__}")
        _classes[kind] = cls
        return cls

    return register


def dumps(fitted: FittedForecaster) -> bytes:
    """The fitted forecaster as bytes, the same for the same model in every process."""
    for kind, cls in _classes.items():
        if type(fitted) is cls:
            raw = msgspec.Raw(msgspec.msgpack.encode(fitted, enc_hook=_encode))
            return msgspec.msgpack.encode(Packed(kind, raw))
    raise InvalidState(f"{type(fitted).__name__} is not declared with @stored_as")


def loads(data: bytes) -> FittedForecaster:
    """The fitted forecaster that `dumps` wrote.

    Raises:
        InvalidState: The bytes are damaged, or written by a class that this process does not know.
    """
    try:
        packed = msgspec.msgpack.decode(data, type=Packed)
        cls = _classes.get(packed.kind)
        if cls is None:
            raise InvalidState(f"no fitted forecaster is stored as {packed.kind!r} in this version")
        fitted: FittedForecaster = msgspec.msgpack.decode(packed.fields, type=cls, dec_hook=_decode)
    except (msgspec.MsgspecError, ValueError, TypeError) as error:
        raise InvalidState(f"these bytes are not a fitted forecaster: {error}") from error
    return fitted


def _encode(value: object) -> object:
    if isinstance(value, np.ndarray):
        array = np.ascontiguousarray(value)
        return _Array(array.dtype.str, array.shape, array.tobytes())
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError(f"a fitted forecaster cannot hold {type(value).__name__}")


@lru_cache(maxsize=64)
def _is_array(expected: Hashable) -> bool:
    return "ndarray" in str(expected)  # writing a type out takes longer than all else that is done to an array


def _decode(expected: type[Any], value: object) -> object:
    if not _is_array(cast("Hashable", expected)):
        raise NotImplementedError(f"a fitted forecaster cannot hold {expected}")
    stored = msgspec.convert(value, type=_Array)
    if stored.dtype not in _DTYPES:
        raise ValueError(f"array of type {stored.dtype!r}")
    array = np.frombuffer(stored.data, dtype=stored.dtype).reshape(stored.shape)
    array.setflags(write=False)
    return array
