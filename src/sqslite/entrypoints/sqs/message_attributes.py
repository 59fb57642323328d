"""Message attributes: AWS's checks of them, and how a message of the domain carries their types.

A text of type String is an attribute as it is, for every wire. Values of other types are carried as text too (binary
ones in base64), and one reserved attribute says which types those are, so that other wires see plain values.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from decimal import DecimalException, Inexact, localcontext
from unicodedata import category

import msgspec

from sqslite.domain.limits import TRACE_ID_CHARS_MAX
from sqslite.entrypoints.sqs.errors import Kind, SqsError, invalid
from sqslite.entrypoints.sqs.inputs import AttributeValue, AttributeValues, Sent, text
from sqslite.entrypoints.sqs.md5 import Attribute

# Names that begin so are reserved in SQS, so no sender can give this one.
TYPES = "AWS.types"
ATTRIBUTES_MAX = 10
NAME_BYTES_MAX = 256
TRACE_HEADER = "AWSTraceHeader"
TRACE_HTTP_HEADER = b"x-amzn-trace-id"
# Of a Number: significant digits, and the power of ten that it starts at.
DIGITS_MAX = 38
EXPONENT_MIN, EXPONENT_MAX = -128, 126
INVALID_CHARACTERS = (
    "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | "
    "#x10000 to #x10FFFF"
)

_PLAIN = "String"
_NOT_ALLOWED = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_TYPE = re.compile(r"(String|Number|Binary)(\..*)?", re.DOTALL)
_types = msgspec.json.Decoder(dict[str, str])


def is_allowed(content: str) -> bool:
    """Whether a message may have that content: what XML can write, and nothing else."""
    # What is printable is allowed, and Python tells that faster.
    return content.isprintable() or _NOT_ALLOWED.search(content) is None


def read(values: AttributeValues | None) -> list[Attribute]:
    """The attributes that a sender gave. Raises SqsError."""
    if not values:
        return []
    if len(values) > ATTRIBUTES_MAX:
        raise invalid(f"Number of message attributes [{len(values)}] exceeds the allowed maximum [{ATTRIBUTES_MAX}].")
    return [_read(name, value or AttributeValue()) for name, value in values.items()]


def read_system(values: AttributeValues | None) -> Attribute | None:
    """The trace header, the only system attribute that a sender can give; None where there is none. Raises SqsError."""
    if not values:
        return None
    for name in values:
        if name != TRACE_HEADER:
            raise invalid(f"Message system attribute name '{name}' is invalid.")
    header = _valued(TRACE_HEADER, values[TRACE_HEADER] or AttributeValue(), "system")
    if header.type != _PLAIN:
        raise _bad_header(f"of type '{_PLAIN}'")
    _check_trace(header.value.decode())
    return header


def trace_in(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The trace in the head of the request, where the X-Ray SDK puts it, for all of its messages (SQS).

    None where there is none that a message can carry: it came by itself, so no sender is refused for it.
    """
    for name, value in headers:
        if name == TRACE_HTTP_HEADER:
            trace = value.decode("latin-1")
            try:
                _check_trace(trace)
            except SqsError:
                return None
            return trace or None
    return None


def _check_trace(trace: str) -> None:
    if len(trace) > TRACE_ID_CHARS_MAX:
        raise _bad_header(f"at most {TRACE_ID_CHARS_MAX} characters long")
    if any(category(char) == "Cc" for char in trace):
        raise _bad_header("free of control characters")


def _bad_header(allowed: str) -> SqsError:
    return invalid(f"The message system attribute '{TRACE_HEADER}' must be {allowed}.")


def check_no_lists(sent: Sent, action: str) -> None:
    """Raise SqsError where an attribute is a list, which no action of SQS takes; an empty one says nothing."""
    if not sent.message_attributes and not sent.message_system_attributes:
        return
    values = [*(sent.message_attributes or {}).values(), *(sent.message_system_attributes or {}).values()]
    if any(value is not None and (value.string_list_values or value.binary_list_values) for value in values):
        raise SqsError(Kind.UNSUPPORTED, f"Message attribute list values in {action} operation are not supported.")


def size(attributes: Iterable[Attribute]) -> int:
    """The bytes that they count in the size of their message: name, type and value."""
    return sum(len(each.name.encode()) + len(each.type.encode()) + len(each.value) for each in attributes)


def carried(attributes: Iterable[Attribute]) -> dict[str, str]:
    """The attributes as a message of the domain carries them."""
    plain: dict[str, str] = {}
    types: dict[str, str] = {}
    for each in attributes:
        plain[each.name] = base64.b64encode(each.value).decode() if each.binary else each.value.decode()
        if each.type != _PLAIN:
            types[each.name] = each.type
    if types:
        plain[TYPES] = msgspec.json.encode(types).decode()
    return plain


def uncarried(attributes: Mapping[str, str]) -> list[Attribute]:
    """The attributes of a message of the domain, whichever wire it came by."""
    if TYPES not in attributes:
        return [Attribute(name, _PLAIN, value.encode()) for name, value in attributes.items()]
    types = _types_in(attributes[TYPES])
    return [_typed(name, types.get(name, _PLAIN), value) for name, value in attributes.items() if name != TYPES]


def shown(attribute: Attribute) -> dict[str, str]:
    """The attribute's value as receivers see it."""
    if attribute.binary:
        return {"BinaryValue": base64.b64encode(attribute.value).decode(), "DataType": attribute.type}
    return {"StringValue": attribute.value.decode(), "DataType": attribute.type}


def chosen(attributes: Iterable[Attribute], names: Iterable[str]) -> list[Attribute]:
    """Those that a receiver asked for: by name, by a prefix as in `billing.*`, or all of them."""
    wanted = set(names)
    if wanted & {"All", "ALL", ".*", "*"}:
        return list(attributes)
    prefixes = tuple(name.removesuffix(".*") for name in wanted if name.endswith(".*"))
    return [each for each in attributes if each.name in wanted or (prefixes and each.name.startswith(prefixes))]


def _read(name: str, value: AttributeValue) -> Attribute:
    _check_name(name)
    return _valued(name, value, "(user)")


def _check_name(name: str) -> None:
    if not name:
        raise invalid("The request must contain non-empty message (user) attribute names.")
    if len(name.encode()) > NAME_BYTES_MAX:
        raise invalid(f"Message (user) attribute name must be shorter than {NAME_BYTES_MAX} bytes.")
    # Letters and digits of any script: AWS takes more than it documents.
    if not all(char.isalnum() or char in "_-." for char in name):
        raise invalid(
            f"Invalid message (user) attribute name '{name}'. Attribute name can contain A-Z, a-z, 0-9, underscore "
            "(_), hyphen (-), and period (.) characters."
        )
    lower = name.lower()
    if lower.startswith(("aws.", "amazon.", ".")) or lower.endswith(".") or ".." in lower:
        raise invalid(
            "Invalid message (user) attribute name. You can't use message attribute names beginning with 'AWS.' or "
            "'Amazon.'. These strings are reserved for internal use. Additionally, they cannot start or end with '.'."
        )


def _valued(name: str, value: AttributeValue, kind: str) -> Attribute:
    string, binary, type_ = text(value.string_value), text(value.binary_value), text(value.data_type)
    if string is None and binary is None:
        raise invalid(f"The message {kind} attribute '{name}' must contain a non-empty message attribute value.")
    if not type_:
        raise invalid(f"The message {kind} attribute '{name}' must contain a non-empty message attribute type.")
    if len(type_.encode()) > NAME_BYTES_MAX:
        raise invalid(f"Message {kind} attribute type must be shorter than {NAME_BYTES_MAX} bytes.")
    match = _TYPE.fullmatch(type_)
    if match is None or not is_allowed(type_):
        raise invalid(
            f"The type of message {kind} attribute '{name}' is invalid. You must use only the following supported "
            "type prefixes: Binary, Number, String."
        )
    base = match[1]
    given = binary if base == "Binary" else string
    if not given:
        raise _empty(name, base, kind)
    return Attribute(name, type_, _value(name, base, given, kind))


def _value(name: str, base: str, given: str, kind: str) -> bytes:
    if base == "Binary":
        try:
            value = base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError):
            raise invalid(f"The message {kind} attribute '{name}' is not in base64.") from None
        if not value:
            raise _empty(name, base, kind)
        return value
    if base == "Number" and not _is_number(given):
        raise invalid(f"Can't cast the value of message {kind} attribute '{name}' to a number.")
    if not is_allowed(given):
        raise invalid(INVALID_CHARACTERS)
    return given.encode()


def _is_number(given: str) -> bool:
    """Source: SQS developer guide, message attribute data types."""
    if not _NUMBER.fullmatch(given):
        return False
    with localcontext() as exactly:
        exactly.prec = DIGITS_MAX
        exactly.traps[Inexact] = True
        try:
            # Zero has an exponent of its own, which means nothing.
            value = exactly.create_decimal(given).normalize()
        except DecimalException:
            return False
    return not value or EXPONENT_MIN <= value.adjusted() <= EXPONENT_MAX


def _empty(name: str, base: str, kind: str) -> SqsError:
    return invalid(f"Message {kind} attribute '{name}' must contain a non-empty value of type '{base}'.")


def _types_in(carried_types: str) -> dict[str, str]:
    try:
        return _types.decode(carried_types)
    except msgspec.MsgspecError:
        # Another wire gave a message an attribute of this name: it says nothing about types.
        return {}


def _typed(name: str, type_: str, value: str) -> Attribute:
    if type_.startswith("Binary"):
        try:
            return Attribute(name, type_, base64.b64decode(value, validate=True))
        except (binascii.Error, ValueError):
            return Attribute(name, _PLAIN, value.encode())
    return Attribute(name, type_, value.encode())
