"""Answers and refusals of the Query protocol in JSON, which a client gets that asks for it by its Accept header.

Source: answers of AWS to such clients, API Gateway's among them.
"""

from typing import Any

import msgspec

from sqslite.entrypoints.sqs.errors import SqsError
from sqslite.entrypoints.sqs.query_protocol import WRITTEN, sentence

CONTENT_TYPE = b"application/json"
# Two lists are called otherwise than in the API reference.
_NAMES = {"QueueUrls": "queueUrls", "Messages": "messages"}
# By action, or by the list that they stand in: members that are told in any case, if only as null.
_ALWAYS: dict[str, tuple[str, ...]] = {
    "SendMessage": ("MD5OfMessageAttributes", "MD5OfMessageSystemAttributes", "SequenceNumber"),
    "ReceiveMessage": ("Messages",),
    "Messages": ("Attributes", "MD5OfMessageAttributes", "MessageAttributes"),
}


def answer(action: str, result: dict[str, Any] | None, request_id: str) -> bytes:
    """The body of an answer; `result` None where the action has none at all."""
    inside = {} if result is None else {f"{action}Result": _members(action, result)}
    return msgspec.json.encode({f"{action}Response": {**inside, "ResponseMetadata": {"RequestId": request_id}}})


def refusal(error: SqsError, request_id: str) -> bytes:
    """The body of a refusal."""
    told = {"Code": error.wrong.code, "Message": sentence(error), "Type": error.wrong.fault}
    return msgspec.json.encode({"Error": told, "RequestId": request_id})


def _members(of: str, members: dict[str, Any]) -> dict[str, Any]:
    every = dict.fromkeys(_ALWAYS.get(of, ())) | members
    return {_NAMES.get(name, name): _shown(name, value) for name, value in every.items()}


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_members(name, each) if isinstance(each, dict) else each for each in value]
    if not isinstance(value, dict):
        return value
    if name not in WRITTEN:
        return _members(name, value)
    # A map is a list of names and values, as in the XML.
    _, key, named = WRITTEN[name]
    return [{key: each, named: _shown("", inside)} for each, inside in value.items()]
