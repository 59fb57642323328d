"""AWS's JSON 1.0 protocol: a call's parameters from a JSON body, and its answer or refusal as one."""

import re
from functools import cache
from typing import Any

import msgspec

from sqslite.entrypoints.sqs.errors import Kind, SqsError
from sqslite.entrypoints.sqs.inputs import InputT

CONTENT_TYPE = b"application/x-amz-json-1.0"
# Of any version.
CONTENT_FAMILY = b"application/x-amz-json"
TARGET_PREFIX = b"AmazonSQS."

_WRONG_TYPE = re.compile(r"Expected `(?P<expected>[^`]+)`, got `(?P<got>[^`]+)`")
_SCALARS = {"str": "STRING_VALUE", "int": "NUMBER_VALUE", "float": "DECIMAL_VALUE"}


def read(body: bytes, shape: type[InputT]) -> InputT:
    """The parameters in the body; no body at all is none of them. Raises SqsError."""
    try:
        decoded: InputT = _decoder(shape).decode(body or b"{}")
    except msgspec.ValidationError as fault:
        raise SqsError(Kind.MALFORMED_INPUT, _sentence(str(fault), body)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # SQS's own, which names neither place nor reason.
        raise SqsError(Kind.MALFORMED_INPUT, "The request body is not valid JSON in UTF-8.") from None
    return decoded


def answer(result: dict[str, Any]) -> bytes:
    """The body of an answer."""
    return msgspec.json.encode(result)


def refusal(error: SqsError) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """The body of a refusal and the headers that SDKs take the code from."""
    wrong = error.wrong
    body = msgspec.json.encode({"__type": wrong.type, "message": str(error)})
    return body, [(b"x-amzn-query-error", f"{wrong.code};{wrong.fault}".encode())]


@cache
def _decoder(shape: type[InputT]) -> msgspec.json.Decoder[InputT]:
    # Not strict: AWS takes "5" for 5.
    return msgspec.json.Decoder(shape, strict=False)


def _sentence(fault: str, body: bytes) -> str:
    match = _WRONG_TYPE.match(fault)
    if match is None:
        return "NUMBER_VALUE can not be converted to an Integer" if "out of range" in fault else fault
    expected, got = match["expected"], match["got"]
    if got == "object":
        return "Start of structure or map found where not expected."
    if got == "array":
        lists_of_text = "Unrecognized collection type class java.lang.String"
        return lists_of_text if "`$.Attributes[...]`" in fault else "Start of list found where not expected"
    if "object" in expected or "array" in expected:
        return "Unexpected field type"
    shown = ("TRUE_VALUE" if b"true" in body else "FALSE_VALUE") if got == "bool" else _SCALARS.get(got, "NULL_VALUE")
    return f"{shown} can not be converted to an Integer"
