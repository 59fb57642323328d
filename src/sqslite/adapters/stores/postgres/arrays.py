"""Arrays as parameters of statements, packed here: the driver's own way takes ten times as long for an element."""

import re
import struct
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from psycopg.adapt import AdaptersMap, Dumper
from psycopg.postgres import types
from psycopg.pq import Format

_LENGTH = struct.Struct("!i").pack
_NULL = _LENGTH(-1)
# Dimensions, whether there are nulls, the type of the elements; then the length of the dimension and its lower bound.
_EMPTY_HEAD = struct.Struct("!iii").pack
_HEAD = struct.Struct("!iiiii").pack


def _bytea(value: bytes) -> bytes:
    return _LENGTH(len(value)) + value


def _text(value: str) -> bytes:
    return _bytea(value.encode())


# An element with its length before it, by the type's name.
_ELEMENTS: dict[str, Callable[[Any], bytes]] = {
    "bigint": partial(struct.Struct("!iq").pack, 8),
    "integer": partial(struct.Struct("!ii").pack, 4),
    "boolean": partial(struct.Struct("!i?").pack, 1),
    "bytea": _bytea,
    "text": _text,
}
_CAST = re.compile(rf"\$(\d+)::({'|'.join(_ELEMENTS)})\[\]")


class _Array(list[Any]):
    """Values to be sent as an array of one type: each type has a class, by which the driver knows it."""


class _ArrayDumper(Dumper):
    """Sends an array in PostgreSQL's binary format."""

    format = Format.BINARY
    element_oid: int
    element: Callable[[Any], bytes]

    def dump(self, obj: Sequence[Any]) -> bytes:
        """The array as the server reads it."""
        if not obj:
            return _EMPTY_HEAD(0, 0, self.element_oid)
        element = self.element
        packed = [_NULL if value is None else element(value) for value in obj]
        return b"".join((_HEAD(1, None in obj, self.element_oid, len(obj), 1), *packed))


def _array_of(name: str) -> tuple[type[_Array], type[_ArrayDumper]]:
    info = types[name]
    facts = {"oid": info.array_oid, "element_oid": info.oid, "element": staticmethod(_ELEMENTS[name])}
    return type(f"{name}[]", (_Array,), {}), type(f"{name}[] dumper", (_ArrayDumper,), facts)


_ARRAYS = {name: _array_of(name) for name in _ELEMENTS}


def register(adapters: AdaptersMap) -> None:
    """Teach the driver these arrays."""
    for array, dumper in _ARRAYS.values():
        adapters.register_dumper(array, dumper)


def array_parameters(statement: str) -> dict[int, type[_Array]]:
    """The arrays that a statement casts parameters to, by place from 0 on; of other types nothing is known."""
    return {int(number) - 1: _ARRAYS[name][0] for number, name in _CAST.findall(statement)}
