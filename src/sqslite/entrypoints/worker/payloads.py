"""Bodies as the values that handlers take: the annotation of a handler's parameter says which."""

import sys
import typing
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from sqslite.domain.errors import InvalidValue
from sqslite.domain.messages import BodyKind
from sqslite.entrypoints.worker.failures import Undecodable


class Codec(Struct, frozen=True):
    """Both ways between a payload and a body.

    `read` raises Undecodable where the body is no such payload, `write` whatever says that the value is none.
    """

    read: Callable[[bytes, BodyKind], Any]
    write: Callable[[Any], tuple[bytes, BodyKind]]


def codec_of(annotation: Any) -> Codec:
    """The codec for payloads of that type: bytes, str, anything pydantic's or msgspec's; Any takes the body as it is.

    Raises TypeError where it is none of these.
    """
    if annotation is Any or annotation is object:
        return Codec(_read_any, _write_any)
    if annotation is bytes:
        return Codec(lambda body, _: body, _write_bytes)
    if annotation is str:
        return Codec(_read_text, _write_text)
    if _pydantic_in(annotation):
        return _pydantic_codec(annotation)
    return _msgspec_codec(annotation)


def _read_any(body: bytes, kind: BodyKind) -> Any:
    if kind is BodyKind.BINARY:
        return body
    return body.decode() if kind is BodyKind.TEXT else _decoded(msgspec.json.decode, body)


def _write_any(payload: Any) -> tuple[bytes, BodyKind]:
    if isinstance(payload, bytes):
        return payload, BodyKind.BINARY
    if isinstance(payload, str):
        return _write_text(payload)
    if _pydantic_in(type(payload)):
        return _pydantic_codec(type(payload)).write(payload)
    return msgspec.json.encode(payload), BodyKind.JSON


def _write_bytes(payload: Any) -> tuple[bytes, BodyKind]:
    if not isinstance(payload, bytes):
        raise InvalidValue("payload", payload, "bytes, as its handler takes")
    return payload, BodyKind.BINARY


def _read_text(body: bytes, kind: BodyKind) -> str:
    if kind is BodyKind.JSON:
        return typing.cast("str", _decoded(msgspec.json.Decoder(str).decode, body))
    try:
        return body.decode()
    except UnicodeDecodeError as fault:
        raise Undecodable(f"the body is no UTF-8 text: {fault}") from None


def _write_text(payload: Any) -> tuple[bytes, BodyKind]:
    if not isinstance(payload, str):
        raise InvalidValue("payload", payload, "a str, as its handler takes")
    return payload.encode(), BodyKind.TEXT


def _msgspec_codec(annotation: Any) -> Codec:
    if isinstance(msgspec.inspect.type_info(annotation), msgspec.inspect.CustomType):
        raise TypeError(
            f"payloads can be msgspec Structs, dataclasses, TypedDicts, pydantic models, str, bytes and what JSON has; "
            f"not {annotation!r}"
        )
    decode = msgspec.json.Decoder(annotation).decode

    def write(payload: Any) -> tuple[bytes, BodyKind]:
        body = msgspec.json.encode(payload)
        try:
            decode(body)
        except msgspec.ValidationError as fault:
            raise InvalidValue("payload", payload, f"what its handler takes ({fault})") from None
        return body, BodyKind.JSON

    # Senders by other wires know of text only, so what they send as text may be JSON all the same.
    return Codec(lambda body, _: _decoded(decode, body), write)


def _pydantic_codec(annotation: Any) -> Codec:
    # Whoever has a model has imported pydantic.
    adapter = sys.modules["pydantic"].TypeAdapter(annotation)

    def write(payload: Any) -> tuple[bytes, BodyKind]:
        # Checked as JSON, as the handler's side will: a model that was built unchecked is found out here.
        body: bytes = adapter.dump_json(payload, by_alias=True)
        adapter.validate_json(body)
        return body, BodyKind.JSON

    return Codec(lambda body, _: _decoded(adapter.validate_json, body), write)


def _pydantic_in(annotation: Any) -> bool:
    """Whether pydantic made the type, or one of its arguments."""
    ours = isinstance(annotation, type) and hasattr(annotation, "__pydantic_validator__")
    return ours or any(_pydantic_in(argument) for argument in typing.get_args(annotation))


def _decoded(decode: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return decode(body)
    # pydantic's error is a ValueError as well.
    except (ValueError, RecursionError) as fault:
        raise Undecodable(f"the body does not decode: {fault}") from None
