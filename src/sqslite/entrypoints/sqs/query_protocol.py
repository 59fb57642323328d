"""AWS's Query protocol: a call's parameters from numbered form fields, and its answer or refusal as XML."""

import re
from binascii import a2b_qp
from collections.abc import Mapping
from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from msgspec import Struct

from sqslite.entrypoints.sqs import inputs
from sqslite.entrypoints.sqs.errors import Kind, SqsError
from sqslite.entrypoints.sqs.inputs import Input, InputT

CONTENT_TYPE = b"text/xml"
FORM = b"application/x-www-form-urlencoded"
VERSION = "2012-11-05"
# Clients that speak an old one look for the names in its namespace.
VERSIONS = ("2007-05-01", "2008-01-01", "2009-02-01", "2011-10-01", VERSION)
# A batch of ten messages with ten attributes each has about 350 fields.
FIELDS_MAX = 5_000
DEPTH_MAX = 8
# The answer where no action is named.
NO_ACTION = b"<UnknownOperationException/>\n"

Tree = dict[str, Any]
# Python looks for a number in bytes many times faster than for other bytes.
_PERCENT, _EQUALS, _LF, _CR = b"%=\n\r"
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
# What XML 1.0 has no way to write; SQS refuses such bodies, but other wires do not.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Listed(Struct, frozen=True):
    """A list in this protocol: `member.1`, `member.2`, …; of structures of this shape, or (None) of texts."""

    member: str
    shape: type[Input] | None = None


class Mapped(Struct, frozen=True):
    """A map in this protocol: `member.1.Name` and `member.1.Value`, …, to structures of this shape or to texts."""

    member: str
    key: str = "Name"
    value: str = "Value"
    shape: type[Input] | None = None


# By the member's name in the shape, which is understood too: version 2 of the Java SDK writes `Tags.1.Key`.
# Entries are called differently by each action.
FLAT: dict[str, Listed | Mapped] = {
    "AttributeNames": Listed("AttributeName"),
    "MessageSystemAttributeNames": Listed("MessageSystemAttributeName"),
    "MessageAttributeNames": Listed("MessageAttributeName"),
    "AWSAccountIds": Listed("AWSAccountId"),
    "Actions": Listed("ActionName"),
    "TagKeys": Listed("TagKey"),
    "StringListValues": Listed("StringListValue"),
    "BinaryListValues": Listed("BinaryListValue"),
    "Attributes": Mapped("Attribute"),
    "tags": Mapped("Tag", key="Key"),
    "Tags": Mapped("Tag", key="Key"),
    "MessageAttributes": Mapped("MessageAttribute", shape=inputs.AttributeValue),
    "MessageSystemAttributes": Mapped("MessageSystemAttribute", shape=inputs.AttributeValue),
}
ENTRIES: dict[type[Input], Listed] = {
    inputs.SendMessageBatch: Listed("SendMessageBatchRequestEntry", inputs.SentEntry),
    inputs.DeleteMessageBatch: Listed("DeleteMessageBatchRequestEntry", inputs.DeleteEntry),
    inputs.ChangeMessageVisibilityBatch: Listed("ChangeMessageVisibilityBatchRequestEntry", inputs.VisibilityEntry),
}
# How lists and maps of answers are written: the element of each item, and those of its key and value in a map.
WRITTEN: dict[str, tuple[str, ...]] = {
    "QueueUrls": ("QueueUrl",),
    "queueUrls": ("QueueUrl",),
    "Messages": ("Message",),
    "Attributes": ("Attribute", "Name", "Value"),
    "MessageAttributes": ("MessageAttribute", "Name", "Value"),
    "Tags": ("Tag", "Key", "Value"),
    "Failed": ("BatchResultErrorEntry",),
    "Results": ("ListMessageMoveTasksResultEntry",),
}


def fields(form: bytes) -> dict[str, str]:
    """The fields of a form or a query string; of one that is there twice the first. Raises SqsError."""
    found: dict[str, str] = {}
    if not form:
        return found
    try:
        if form.count(b"&") >= FIELDS_MAX:
            raise ValueError(form)
        for field in form.replace(b"+", b" ").split(b"&"):
            if field:
                name, _, value = field.partition(b"=")
                if _PERCENT in value:
                    value = _unquoted(value)
                if _PERCENT in name:
                    name = _unquoted(name)
                found.setdefault(name.decode(), value.decode())
    except ValueError:
        raise SqsError(Kind.MALFORMED_QUERY, "The query string contains a syntax error.") from None
    return found


def _unquoted(quoted: bytes) -> bytes:
    """As urllib.parse.unquote_to_bytes does it, in a fraction of its time."""
    # Quoted-printable has another sign, and leaves out line ends behind it.
    if _EQUALS not in quoted and _LF not in quoted and _CR not in quoted:
        text = a2b_qp(quoted.replace(b"%", b"="))
        if len(quoted) - len(text) == 2 * quoted.count(b"%"):
            return text
    # A % that is no escape stands for itself.
    return unquote_to_bytes(quoted)


def read(parameters: Mapping[str, str], shape: type[InputT]) -> InputT:
    """The parameters in the fields. Raises SqsError."""
    try:
        return msgspec.convert(_structure(_tree(parameters), shape), shape, strict=False)
    except msgspec.ValidationError as fault:
        raise SqsError(Kind.MALFORMED_INPUT, _malformed(str(fault))) from None


def answer(action: str, result: dict[str, Any] | None, request_id: str, version: str = VERSION) -> bytes:
    """The body of an answer in that version's namespace; `result` None where the action has none at all."""
    inside = "" if result is None else _element(f"{action}Result", _members(action, result))
    metadata = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    return (
        f'<?xml version="1.0"?><{action}Response xmlns="{_namespace(version)}">{inside}{metadata}</{action}Response>'
    ).encode()


def refusal(error: SqsError, request_id: str, version: str = VERSION) -> bytes:
    """The body of a refusal in that version's namespace."""
    wrong = error.wrong
    told = (_text("Type", wrong.fault), _text("Code", wrong.code), _text("Message", sentence(error)))
    inside = "".join((*told, "<Detail/>"))
    return (
        f'<?xml version="1.0"?><ErrorResponse xmlns="{_namespace(version)}"><Error>{inside}</Error>'
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    ).encode()


def sentence(error: SqsError) -> str:
    """The sentence of a refusal, in this protocol's words."""
    said = str(error)
    return f"{said.removesuffix('.')} for this wsdl version." if error.kind is Kind.NO_QUEUE else said


def _namespace(version: str) -> str:
    return f"http://queue.amazonaws.com/doc/{version if version in VERSIONS else VERSION}/"


def _tree(parameters: Mapping[str, str]) -> Tree:
    root: Tree = dict(parameters)
    for name, value in parameters.items():
        if "." not in name:
            continue
        *path, last = name.split(".", DEPTH_MAX)
        branch = root
        for part in path:
            below = branch.setdefault(part, {})
            if not isinstance(below, dict):
                # `A` and `A.1` together: the longer one says more.
                below = branch[part] = {}
            branch = below
        branch.setdefault(last, value)
    return root


def _structure(tree: Tree, shape: type[Input]) -> Tree:
    # What the shape does not know is passed over later.
    structure = tree.copy()
    if (entries := ENTRIES.get(shape)) is not None:
        # A form has no way to write a list of none: it is what is not there.
        structure["Entries"] = _listed(_items(tree.get(entries.member)) or [], entries)
    for member, flat in _flat_members(shape):
        if (items := _flat_items(tree, member, flat.member)) is not None:
            structure[member] = _listed(items, flat) if isinstance(flat, Listed) else _mapped(items, flat)
    return structure


@cache
def _flat_members(shape: type[Input]) -> list[tuple[str, Listed | Mapped]]:
    return [(member, FLAT[member]) for member in shape.__struct_encode_fields__ if member in FLAT]


def _flat_items(tree: Tree, member: str, flat_member: str) -> list[Any] | None:
    if flat_member in tree:
        return _items(tree[flat_member])
    # botocore writes an empty list as its member without a value.
    return [] if tree.get(member) == "" else _items(tree.get(member))


def _items(numbered: Any) -> list[Any] | None:
    """What stands under the numbers, in their order; a single one may go without. None where there is nothing."""
    if numbered is None:
        return None
    if not isinstance(numbered, dict):
        return [numbered]
    numbers = sorted((int(key), key) for key in numbered if _NUMBER.fullmatch(key))
    return [numbered[key] for _, key in numbers] if numbers else [numbered]


def _listed(items: list[Any], flat: Listed) -> list[Any]:
    return items if flat.shape is None else [_value(item, flat.shape) for item in items]


def _mapped(items: list[Any], flat: Mapped) -> Tree:
    # A pair without a name is one with an empty name, which is refused like any other.
    pairs = [item if isinstance(item, dict) else {} for item in items]
    return {_name(item.get(flat.key)): _value(item.get(flat.value), flat.shape) for item in pairs}


def _name(given: Any) -> str:
    return given if isinstance(given, str) else ""


def _value(item: Any, shape: type[Input] | None) -> Any:
    return item if shape is None or not isinstance(item, dict) else _structure(item, shape)


def _malformed(fault: str) -> str:
    place = re.search(r"`\$\.([A-Za-z]+)[^`]*`$", fault)
    return f"The parameter {place[1]} is malformed." if place else "The request is malformed."


def _members(action: str, members: dict[str, Any]) -> str:
    return "".join(
        [
            _text(name, value) if isinstance(value, str) else _member(action, name, value)
            for name, value in members.items()
        ]
    )


def _member(action: str, name: str, value: Any) -> str:
    if isinstance(value, list):
        (item,) = WRITTEN.get(name) or (f"{action}ResultEntry",)
        return "".join(
            _element(item, _members(action, each)) if isinstance(each, dict) else _text(item, each) for each in value
        )
    if isinstance(value, dict) and name in WRITTEN:
        item, key, named = WRITTEN[name]
        return "".join(_element(item, _text(key, k) + _member(action, named, v)) for k, v in value.items())
    return _element(name, _members(action, value)) if isinstance(value, dict) else _text(name, value)


def _element(name: str, inside: str) -> str:
    return f"<{name}>{inside}</{name}>" if inside else f"<{name}/>"


def _text(name: str, value: object) -> str:
    text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    if "&" in text or "<" in text or ">" in text:
        text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    if not text.isprintable():
        text = _NOT_XML.sub("\ufffd", text).replace("\r", "&#xD;")
    return f"<{name}>{text}</{name}>" if text else f"<{name}/>"
