"""Reading a request: bounded in bytes and time, decoded once, every fault named."""

import asyncio
import enum
import re
from functools import cache
from typing import Any, TypeVar, get_args, get_type_hints

import msgspec

from sqslite.domain.errors import InvalidValue, shown
from sqslite.entrypoints.http.errors import (
    InvalidJson,
    MissingField,
    RequestError,
    RequestTimeout,
    RequestTooLarge,
    UnknownField,
    UnsupportedEncoding,
)
from sqslite.entrypoints.http.exchange import Incoming

T = TypeVar("T", bound=msgspec.Struct)

BODY_READ_S_MAX = 5.0
# What a request may have around its message body: field names, other fields, white space.
ENVELOPE_BYTES_MAX = 64 * 1024

_WRONG_TYPE = re.compile(
    r"(?:Expected `(?P<expected>[^`]+)`|(?P<other>.*?))(?:, got `[^`]+`)?(?: - at `\$\.?(?P<path>.*)`)?"
)
# At the end of a path: one of several. What is shown is all of them.
_OF_ALL = re.compile(r"\[(?:\.\.\.|\d+)\]$")
_UNKNOWN_FIELD = re.compile(r"Object contains unknown field `(?P<name>.*?)`(?: - at `\$\.?(?P<path>.*)`)?", re.DOTALL)
_MISSING_FIELD = re.compile(r"Object missing required field `(?P<name>.*?)`(?: - at .*)?")
_LONE_SURROGATE = re.compile(rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])")
_EXPECTED_WORDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "a string",
    "bool": "true or false",
    "object": "a JSON object",
    "dict": "a JSON object",
    "array": "a JSON array",
    "NoneType": "null",
}


async def read(request: Incoming, shape: type[T], bytes_max: int) -> T:
    """The request's JSON body as that shape; no body at all is an empty object."""
    return decode(await read_bytes(request, bytes_max) or b"{}", shape)


async def read_bytes(request: Incoming, bytes_max: int) -> bytes:
    """The request's body. Raises RequestTooLarge, RequestTimeout and UnsupportedEncoding."""
    headers = dict(request.scope["headers"])
    if b"content-encoding" in headers or b"expect" in headers:
        _check_head(headers, bytes_max)
    chunks: list[bytes] = []
    size = 0
    deadline = _Deadline(asyncio.current_task())
    timer = asyncio.get_running_loop().call_later(BODY_READ_S_MAX, deadline.cut_off)
    try:
        more = True
        while more:
            event = await request.receive()
            if event["type"] != "http.request":
                raise RequestError("the request ended before its body did")
            more = event.get("more_body", False)
            chunk = event.get("body", b"")
            size += len(chunk)
            # What is too large is read and dropped, so that its sender sees the answer rather than a reset.
            if size <= bytes_max:
                chunks.append(chunk)
    except asyncio.CancelledError:
        if not deadline.caused_it():
            raise
        if size <= bytes_max:
            raise RequestTimeout(f"the request body must arrive within {BODY_READ_S_MAX:g} seconds") from None
    finally:
        timer.cancel()
    if size > bytes_max:
        raise _too_large(bytes_max)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


class _Deadline(msgspec.Struct):
    """Cancels a task once its time is over: asyncio.timeout at a fifth of its cost."""

    task: asyncio.Task[Any] | None
    over: bool = False

    def cut_off(self) -> None:
        """The time is over."""
        assert self.task is not None
        self.over = self.task.cancel()

    def caused_it(self) -> bool:
        """Whether the task, which has been cancelled, was so by nobody else."""
        return self.over and self.task is not None and not self.task.uncancel()


def decode(raw: bytes, shape: type[T], whole: str = "the request body") -> T:
    """The JSON text as that shape; `whole` is what errors call it.

    Raises InvalidJson, UnknownField, MissingField or InvalidValue.
    """
    try:
        # msgspec passes over the strings in a raw field without checking their encoding.
        str(raw, "utf-8")
        decoded: T = _decoder(shape).decode(raw)
    except UnicodeDecodeError as fault:
        raise InvalidJson(f"the request body must be UTF-8: {fault.reason} at byte {fault.start}") from None
    except msgspec.ValidationError as fault:
        raise _explained(fault, raw, shape, whole) from None
    except msgspec.DecodeError as fault:
        hint = "; is that a surrogate escape without its pair?" if _LONE_SURROGATE.search(raw) else ""
        raise InvalidJson(f"the request body must be JSON: {fault}{hint}") from None
    except RecursionError:
        raise InvalidJson("the request body is nested too deeply") from None
    return decoded


@cache
def _decoder(shape: type[T]) -> msgspec.json.Decoder[T]:
    return msgspec.json.Decoder(shape)


def _check_head(headers: dict[bytes, bytes], bytes_max: int) -> None:
    encoding = headers.get(b"content-encoding", b"identity")
    if encoding.lower() != b"identity":
        shown_encoding = shown(encoding.decode("latin-1"))
        raise UnsupportedEncoding(f"the request body must come without a content-encoding; got {shown_encoding}")
    declared = headers.get(b"content-length", b"")
    # Who waits for a go-ahead before sending can be told right away.
    if b"expect" in headers and declared.isdigit() and int(declared) > bytes_max:
        raise _too_large(bytes_max)


def _too_large(bytes_max: int) -> RequestTooLarge:
    return RequestTooLarge(f"the request body must have at most {bytes_max} bytes")


def _explained(fault: msgspec.ValidationError, raw: bytes, shape: type[msgspec.Struct], whole: str) -> Exception:
    text = str(fault)
    if match := _UNKNOWN_FIELD.fullmatch(text):
        known = _known(shape, match["path"] or "")
        return UnknownField(
            f"unknown field {shown(match['name'])}; {f'known are {known}' if known else 'there are none'}"
        )
    if match := _MISSING_FIELD.fullmatch(text):
        return MissingField(f"the field {match['name']} is required; known are {_known(shape)}")
    match = _WRONG_TYPE.fullmatch(text)
    path = (match and match["path"]) or ""
    expected = _expected((match and match["expected"]) or "", _type_at(shape, path))
    return InvalidValue(path or whole, _value_at(raw, _OF_ALL.sub("", path)), expected)


def _known(shape: type[msgspec.Struct], path: str = "") -> str:
    there = _type_at(shape, path)
    return ", ".join((there if _has_fields(there) else shape).__struct_encode_fields__)


def _type_at(shape: type[msgspec.Struct], path: str) -> Any:
    """The type of the field at the path, None where the path leads into something other than fields."""
    there: Any = shape
    for name in path.split(".") if path else ():
        there = get_type_hints(there).get(name) if _has_fields(there) else None
    return there


def _has_fields(there: Any) -> bool:
    return isinstance(there, type) and issubclass(there, msgspec.Struct)


def _expected(types: str, hint: object) -> str:
    if isinstance(hint, enum.EnumMeta):
        return f"one of {', '.join(member.value for member in list[enum.Enum](hint))}"
    # Of numbers beyond all bounds, msgspec does not say what was expected instead.
    hint = dict if _has_fields(hint) else hint
    types = types or "|".join(kind.__name__ for kind in get_args(hint) or (hint,) if isinstance(kind, type))
    return " or ".join(_EXPECTED_WORDS.get(word.strip(), word.strip()) for word in types.split("|"))


def _value_at(raw: bytes, path: str) -> msgspec.Raw:
    """The JSON text of the value at fault: not all that is JSON can be decoded, such as 1e999."""
    value = msgspec.Raw(raw)
    try:
        for name in path.split(".") if path else ():
            value = msgspec.json.decode(value, type=dict[str, msgspec.Raw])[name]
    except (msgspec.DecodeError, KeyError, RecursionError):
        return msgspec.Raw(raw)
    return value
