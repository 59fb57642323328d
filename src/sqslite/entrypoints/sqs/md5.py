"""The MD5 digests that SDKs compare with their own; none of them is for security."""

import hashlib
import struct
from collections.abc import Iterable

from msgspec import Struct

_LENGTH = struct.Struct(">I")
_TEXT = b"\x01"
_BINARY = b"\x02"


class Attribute(Struct, frozen=True):
    """A message attribute as its sender gave it: the whole type, such as `Number.java.lang.Long`, and the value."""

    name: str
    type: str
    value: bytes

    @property
    def binary(self) -> bool:
        """Whether the value is bytes rather than text."""
        return self.type.startswith("Binary")


def of_body(body: bytes) -> str:
    """The digest of a message's body."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def of_attributes(attributes: Iterable[Attribute]) -> str | None:
    """The digest of message attributes in the order of their names; None where there are none.

    Source: SQS developer guide, "Calculating the MD5 message digest for message attributes".
    """
    parts: list[bytes] = []
    for attribute in sorted(attributes, key=lambda attribute: attribute.name):
        parts += (_prefixed(attribute.name.encode()), _prefixed(attribute.type.encode()))
        parts += (_BINARY if attribute.binary else _TEXT, _prefixed(attribute.value))
    return hashlib.md5(b"".join(parts), usedforsecurity=False).hexdigest() if parts else None


def _prefixed(value: bytes) -> bytes:
    return _LENGTH.pack(len(value)) + value
