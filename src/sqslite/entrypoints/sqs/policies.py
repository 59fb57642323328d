"""RedrivePolicy, RedriveAllowPolicy and Policy: JSON texts, their checks, and AWS's sentences about them."""

from typing import Any

import msgspec
from msgspec import Struct

from sqslite.domain.limits import MAX_RETRIES_MAX, REDRIVE_SOURCES_MAX
from sqslite.entrypoints.sqs.errors import Kind, SqsError, attribute_value, invalid_value
from sqslite.entrypoints.sqs.names import parse_arn

REDRIVE = "RedrivePolicy"
ALLOW = "RedriveAllowPolicy"
POLICY = "Policy"
STATEMENTS_MAX = 20
_TARGET = "deadLetterTargetArn"
_COUNT = "maxReceiveCount"
_ALLOW_FORMAT = "Amazon SQS can't create the redrive allow policy, as it’s in an unsupported format."
_ALLOW = "Amazon SQS can't create the redrive allow policy."
ALLOW_ALL, DENY_ALL, BY_QUEUE = "allowAll", "denyAll", "byQueue"


class RedrivePolicy(Struct, frozen=True):
    """Where a queue's dead letters go, and after how many receives; `arn` is the target as the sender wrote it."""

    dlq: str
    receives_max: int
    arn: str


def read_redrive(text: str) -> RedrivePolicy:
    """The policy in the text. Raises SqsError."""
    policy = _map(text)
    if policy is None:
        raise attribute_value(REDRIVE, "Redrive policy is not a valid JSON map.")
    for name in (_COUNT, _TARGET):
        if name not in policy:
            raise _redrive(text, f"Redrive policy does not contain mandatory attribute: {name}.")
    if len(policy) > 2:
        raise _redrive(text, f"Only following attributes are supported: [{_COUNT}, {_TARGET}].")
    count = policy[_COUNT]
    receives_max = _whole(count)
    if receives_max is None or not 1 <= receives_max <= MAX_RETRIES_MAX:
        allowed = f"valid values are from 1 to {MAX_RETRIES_MAX} both inclusive."
        raise _redrive(text, f"Invalid value for {_COUNT}: {_as_written(count)}, {allowed}")
    arn = parse_arn(policy[_TARGET]) if isinstance(policy[_TARGET], str) else None
    if arn is None:
        raise _redrive(text, f"Invalid value for {_TARGET}.")
    if arn.service != "sqs":
        raise _redrive(text, f"Only SQS queues are valid resources for {_TARGET}.")
    return RedrivePolicy(arn.resource, receives_max, policy[_TARGET])


def redrive_fault(text: str, reason: str) -> SqsError:
    """The policy is well written and yet cannot be."""
    return _redrive(text, reason)


def shown_redrive(arn: str, receives_max: int) -> str:
    """The policy as GetQueueAttributes answers it."""
    return msgspec.json.encode({_TARGET: arn, _COUNT: receives_max}).decode()


def says(text: str, dlq: str | None, receives_max: int) -> bool:
    """Whether a policy that was given once is what the queue still goes by, in the form that AWS shows."""
    policy = _map(text) or {}
    target = policy.get(_TARGET)
    arn = parse_arn(target) if isinstance(target, str) else None
    count = policy.get(_COUNT)
    return arn is not None and arn.resource == dlq and type(count) is int and count == receives_max


def read_allow(text: str) -> list[str] | None:
    """The names of the queues that the policy allows; None: all. Raises SqsError."""
    policy = _map(text)
    known = {"redrivePermission", "sourceQueueArns"}
    if policy is None or set(policy) - known or policy.get("redrivePermission") not in (ALLOW_ALL, DENY_ALL, BY_QUEUE):
        raise attribute_value(ALLOW, _ALLOW_FORMAT)
    permission, arns = policy["redrivePermission"], policy.get("sourceQueueArns")
    if arns is not None and not (isinstance(arns, list) and all(isinstance(arn, str) for arn in arns)):
        raise attribute_value(ALLOW, _ALLOW_FORMAT)
    if permission == BY_QUEUE and not arns:
        reason = (
            "When you specify the byQueue permission type, you must also specify one or more sourceQueueArns values."
        )
        raise invalid_value(ALLOW, text, f"{_ALLOW} {reason}")
    if permission != BY_QUEUE and arns:
        reason = "To specify one or more source queue ARNs, you must set redrivePermission to byQueue."
        raise invalid_value(ALLOW, text, f"{_ALLOW} {reason}")
    if arns and len(arns) > REDRIVE_SOURCES_MAX:
        reason = f"The maximum number of source queue ARNs you can specify is {REDRIVE_SOURCES_MAX}."
        raise invalid_value(ALLOW, text, f"{_ALLOW} {reason}")
    parsed = [parse_arn(arn) for arn in arns or ()]
    if not all(arn is not None and arn.service == "sqs" for arn in parsed):
        raise attribute_value(ALLOW, _ALLOW_FORMAT)
    return None if permission == ALLOW_ALL else [arn.resource for arn in parsed if arn]


def shown_allow(arns: list[str]) -> str:
    """The policy as GetQueueAttributes answers it, which allows those queues and no other."""
    if not arns:
        return msgspec.json.encode({"redrivePermission": DENY_ALL}).decode()
    return msgspec.json.encode({"redrivePermission": BY_QUEUE, "sourceQueueArns": arns}).decode()


def same(name: str, one: str | None, other: str | None) -> bool:
    """Whether two values of an attribute say the same; in policies, which are JSON, spaces and order do not matter."""
    if name in (REDRIVE, ALLOW, POLICY) and one and other:
        return _map(one) == _map(other)
    return one == other


def check_policy(text: str) -> None:
    """Raise SqsError where the text is no access policy, or one that says too much."""
    policy = _map(text)
    if policy is None:
        raise attribute_value(POLICY)
    count = len(statements(policy))
    if count > STATEMENTS_MAX:
        sentence = f"{count} statements were found in the submitted policy, max allowed is {STATEMENTS_MAX}"
        raise SqsError(Kind.OVER_LIMIT, sentence)


def statements(policy: dict[str, Any]) -> list[Any]:
    """What the access policy says; a single statement may come without a list around it."""
    told = policy.get("Statement") or []
    return told if isinstance(told, list) else [told]


def _redrive(text: str, reason: str) -> SqsError:
    return invalid_value(REDRIVE, text, reason)


def _map(text: str) -> dict[str, Any] | None:
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _as_written(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _whole(value: object) -> int | None:
    if type(value) is int:
        return value
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 6:
        return int(value)
    return None
