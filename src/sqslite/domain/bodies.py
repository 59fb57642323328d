"""What a message's body must be."""

import msgspec

from sqslite.domain.errors import InvalidValue
from sqslite.domain.messages import BodyKind, NewMessage

_json = msgspec.json.Decoder(msgspec.Raw).decode


def check_body(message: NewMessage) -> None:
    """Raise InvalidValue where the body is empty or is not what its kind says."""
    if not message.body:
        raise InvalidValue("body", "", "at least one byte long")
    if message.body_kind is not BodyKind.BINARY:
        try:
            str(message.body, "utf-8")
        except UnicodeDecodeError as fault:
            allowed = f"UTF-8 when it is {message.body_kind} ({fault.reason})"
            raise InvalidValue("body", repr(message.body[:16]), allowed) from None
    if message.body_kind is BodyKind.JSON:
        _check_json(message.body)


def _check_json(body: bytes) -> None:
    try:
        value = _json(body)
    except (msgspec.DecodeError, RecursionError) as fault:
        shown = body.decode()
        raise InvalidValue("body", shown, f"JSON text when its kind is json ({fault})") from None
    if bytes(value) == b"null":
        raise InvalidValue("body", None, "any JSON value except null")
