"""How message bodies look in JSON: json as it is, text as a string, binary as a base64 string."""

import base64
import binascii

import msgspec

from sqslite.domain.errors import InvalidValue
from sqslite.domain.messages import BodyKind


def from_json(raw: bytes, kind: BodyKind) -> bytes:
    """The bytes of a body whose JSON text was sent. Raises InvalidValue where it does not fit its kind."""
    if kind is BodyKind.JSON:
        return raw
    try:
        value = msgspec.json.decode(raw, type=str)
    except msgspec.DecodeError:
        raise InvalidValue("body", msgspec.Raw(raw), f"a string when body_kind is {kind}") from None
    if kind is BodyKind.TEXT:
        return value.encode()
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidValue("body", value, "base64 when body_kind is binary") from None


def to_json(body: bytes, kind: BodyKind) -> bytes:
    """The JSON text that shows the body."""
    match kind:
        case BodyKind.JSON:
            return body
        case BodyKind.TEXT:
            return msgspec.json.encode(body.decode())
        case BodyKind.BINARY:
            return msgspec.json.encode(base64.b64encode(body).decode())
