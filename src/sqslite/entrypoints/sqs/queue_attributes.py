"""Queue attributes: AWS's names and units of a queue's settings, both ways.

What a setting of the domain means, is kept there, so that every wire sees it. What only AWS knows (its policies and
keys) is kept as annotations under AWS's own names.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from sqslite.domain.limits import BODY_BYTES_MAX_DEFAULT, DAY_MS, SECOND_MS
from sqslite.domain.ports import Depth
from sqslite.domain.queues import DedupScope, Defaults, Queue, QueueSettings
from sqslite.entrypoints.sqs import policies
from sqslite.entrypoints.sqs.errors import Kind, SqsError, attribute_value, unknown_attribute
from sqslite.entrypoints.sqs.names import Place

_WHOLE = re.compile(r"[0-9]{1,10}", re.ASCII)
DAY_S = DAY_MS // SECOND_MS
KMS_REUSE_S_DEFAULT = 300
PER_QUEUE, PER_GROUP = "perQueue", "perMessageGroupId"
ONE_ENCRYPTION = (
    "You can use one type of server-side encryption (SSE) at one time. You can either enable KMS SSE or SQS SSE."
)
MODIFYING_TYPE = "Modifying queue type is not supported."


class Ranged(Struct, frozen=True):
    """An attribute that is a whole number: its range, and the setting it is, which is `unit` times as much."""

    low: int
    high: int
    setting: str
    unit: int = SECOND_MS


# SQS API reference, SetQueueAttributes.
NUMBERS: dict[str, Ranged] = {
    "VisibilityTimeout": Ranged(0, 43_200, "visibility_ms"),
    "MaximumMessageSize": Ranged(1_024, BODY_BYTES_MAX_DEFAULT, "body_bytes_max", 1),
    "MessageRetentionPeriod": Ranged(60, 14 * DAY_S, "retention_ms"),
    "DelaySeconds": Ranged(0, 900, "delay_ms"),
    "ReceiveMessageWaitTimeSeconds": Ranged(0, 20, "receive_wait_ms"),
}
# Those that say how the queue stands rather than what it is.
COUNTS: dict[str, Callable[[Depth], int]] = {
    "ApproximateNumberOfMessages": lambda depth: depth.ready,
    "ApproximateNumberOfMessagesNotVisible": lambda depth: depth.in_flight,
    "ApproximateNumberOfMessagesDelayed": lambda depth: depth.delayed,
}
FIFO_ONLY = ("ContentBasedDeduplication", "DeduplicationScope", "FifoThroughputLimit")
KEPT = (
    policies.POLICY,
    "KmsMasterKeyId",
    "KmsDataKeyReusePeriodSeconds",
    "SqsManagedSseEnabled",
    "FifoThroughputLimit",
)
READ_ONLY = (*COUNTS, "CreatedTimestamp", "LastModifiedTimestamp", "QueueArn")
SETTABLE = (*NUMBERS, "FifoQueue", *FIFO_ONLY, policies.REDRIVE, policies.ALLOW, *KEPT)
KNOWN = frozenset(("All", *READ_ONLY, *SETTABLE))


def changed(settings: QueueSettings, given: Mapping[str, str]) -> QueueSettings:
    """The settings with what the attributes change. Raises SqsError; whether other queues allow it is not looked at."""
    # Whether a key is given or taken away decides SqsManagedSseEnabled, unless that is given itself.
    for name, value in sorted(given.items(), key=lambda item: item[0] == "SqsManagedSseEnabled"):
        if name not in SETTABLE:
            raise unknown_attribute(name)
        if name in FIFO_ONLY and not settings.fifo:
            raise _fifo_only(name)
        settings = _changed(settings, name, value)
    if given.get("SqsManagedSseEnabled") == "true" and given.get("KmsMasterKeyId"):
        raise SqsError(Kind.ATTRIBUTE_NAME, ONE_ENCRYPTION)
    if _limit(settings) == PER_GROUP and settings.dedup_scope is not DedupScope.GROUP:
        raise attribute_value(
            "FifoThroughputLimit",
            "To set FifoThroughputLimit to perMessageGroupId, the DeduplicationScope must be messageGroup.",
        )
    return settings


def shown(queue: Queue, place: Place, defaults: Defaults) -> dict[str, str]:
    """All attributes that do not need the messages to be counted."""
    settings = queue.settings
    attributes = {
        "QueueArn": place.arn(queue.name),
        "CreatedTimestamp": str(int(queue.created_at.timestamp())),
        "LastModifiedTimestamp": str(int(queue.changed_at.timestamp())),
        "VisibilityTimeout": str(visibility_s(queue, defaults)),
        "MaximumMessageSize": str(settings.body_bytes_max or min(defaults.body_bytes_max, BODY_BYTES_MAX_DEFAULT)),
        "MessageRetentionPeriod": str(defaults.retention_ms(queue) // SECOND_MS),
        "DelaySeconds": str((settings.delay_ms or 0) // SECOND_MS),
        "ReceiveMessageWaitTimeSeconds": str((settings.receive_wait_ms or 0) // SECOND_MS),
        **_encryption(settings.annotations),
        **_policies(settings, place, defaults),
    }
    if settings.fifo:
        attributes["FifoQueue"] = "true"
        attributes["ContentBasedDeduplication"] = _word(settings.dedup_by_content)
        attributes["DeduplicationScope"] = "messageGroup" if settings.dedup_scope is DedupScope.GROUP else "queue"
        attributes["FifoThroughputLimit"] = _limit(settings)
    return attributes


def visibility_s(queue: Queue, defaults: Defaults) -> int:
    """The seconds that a receive leases messages of the queue for; 0 makes them visible at once."""
    if queue.settings.annotations.get("VisibilityTimeout") == "0" and queue.settings.visibility_ms is None:
        return 0
    return (queue.settings.visibility_ms or defaults.visibility_ms) // SECOND_MS


def redrive_policy(settings: QueueSettings, place: Place, defaults: Defaults) -> str | None:
    """Where the queue's dead letters go, as AWS shows it; None where they go nowhere."""
    if settings.dlq is None:
        return None
    receives_max = settings.max_retries or defaults.max_retries
    given = settings.annotations.get(policies.REDRIVE, "")
    if policies.says(given, settings.dlq, receives_max):
        return given
    return policies.shown_redrive(place.arn(settings.dlq), receives_max)


def allow_policy(settings: QueueSettings, place: Place) -> str | None:
    """Which queues may have this one as their dead-letter queue, as AWS shows it; None where nothing was said."""
    given = settings.annotations.get(policies.ALLOW, "")
    if given and policies.read_allow(given) == settings.redrive_allow:
        return given
    if settings.redrive_allow is None:
        return None
    return policies.shown_allow([place.arn(source) for source in settings.redrive_allow])


def _fifo_only(name: str) -> SqsError:
    if name == "ContentBasedDeduplication":
        return unknown_attribute(name)
    return SqsError(Kind.ATTRIBUTE_NAME, f"You can specify the {name} only when FifoQueue is set to true.")


def _changed(settings: QueueSettings, name: str, value: str) -> QueueSettings:
    if name in NUMBERS:
        return _numbered(settings, name, value)
    change = _CHANGES.get(name)
    return change(settings, value) if change else _annotated(settings, name, value)


def _numbered(settings: QueueSettings, name: str, value: str) -> QueueSettings:
    spec = NUMBERS[name]
    if not _WHOLE.fullmatch(value) or not spec.low <= int(value) <= spec.high:
        raise attribute_value(name)
    if name == "VisibilityTimeout":
        # The domain has no lease of no length: it is kept in AWS's words, and heeded by this wire.
        settings = _annotated(settings, name, "0" if int(value) == 0 else "")
        return replace(settings, visibility_ms=int(value) * spec.unit or None)
    return replace(settings, **{spec.setting: int(value) * spec.unit})


def _annotated(settings: QueueSettings, name: str, value: str) -> QueueSettings:
    annotations = {**settings.annotations, name: value}
    if not value:
        del annotations[name]
    return replace(settings, annotations=annotations)


def _fifo(settings: QueueSettings, value: str) -> QueueSettings:
    if not settings.fifo:
        raise unknown_attribute("FifoQueue")
    if value.lower() != "true":
        raise attribute_value("FifoQueue", MODIFYING_TYPE)
    return settings


def _by_content(settings: QueueSettings, value: str) -> QueueSettings:
    return replace(settings, dedup_by_content=_boolean("ContentBasedDeduplication", value))


def _scope(settings: QueueSettings, value: str) -> QueueSettings:
    scopes = {"queue": DedupScope.QUEUE, "messageGroup": DedupScope.GROUP}
    if value not in scopes:
        raise attribute_value("DeduplicationScope")
    return replace(settings, dedup_scope=scopes[value])


def _throughput(settings: QueueSettings, value: str) -> QueueSettings:
    if value not in (PER_QUEUE, PER_GROUP):
        raise attribute_value("FifoThroughputLimit")
    return _annotated(settings, "FifoThroughputLimit", value)


def _redrive(settings: QueueSettings, value: str) -> QueueSettings:
    if not value:
        return replace(_annotated(settings, policies.REDRIVE, ""), dlq=None, max_retries=None)
    policy = policies.read_redrive(value)
    return replace(_annotated(settings, policies.REDRIVE, value), dlq=policy.dlq, max_retries=policy.receives_max)


def _allow(settings: QueueSettings, value: str) -> QueueSettings:
    allowed = policies.read_allow(value) if value else None
    return replace(_annotated(settings, policies.ALLOW, value), redrive_allow=allowed)


def _policy(settings: QueueSettings, value: str) -> QueueSettings:
    if value:
        policies.check_policy(value)
    return _annotated(settings, policies.POLICY, value)


def _key(settings: QueueSettings, value: str) -> QueueSettings:
    # One kind of encryption at a time: the later wins, and without a key it is SQS's own.
    if value:
        settings = _annotated(settings, "SqsManagedSseEnabled", "false")
    elif settings.annotations.get("KmsMasterKeyId"):
        settings = _annotated(settings, "SqsManagedSseEnabled", "")
    return _annotated(settings, "KmsMasterKeyId", value)


def _reuse(settings: QueueSettings, value: str) -> QueueSettings:
    if not _WHOLE.fullmatch(value) or not 60 <= int(value) <= DAY_S:
        raise attribute_value("KmsDataKeyReusePeriodSeconds")
    # The default is told where there is a key, and not elsewhere.
    kept = "" if int(value) == KMS_REUSE_S_DEFAULT else str(int(value))
    return _annotated(settings, "KmsDataKeyReusePeriodSeconds", kept)


def _managed(settings: QueueSettings, value: str) -> QueueSettings:
    if _boolean("SqsManagedSseEnabled", value):
        settings = _annotated(_annotated(settings, "KmsMasterKeyId", ""), "KmsDataKeyReusePeriodSeconds", "")
    return _annotated(settings, "SqsManagedSseEnabled", value.lower())


_CHANGES: dict[str, Callable[[QueueSettings, str], QueueSettings]] = {
    "FifoQueue": _fifo,
    "ContentBasedDeduplication": _by_content,
    "DeduplicationScope": _scope,
    "FifoThroughputLimit": _throughput,
    policies.REDRIVE: _redrive,
    policies.ALLOW: _allow,
    policies.POLICY: _policy,
    "KmsMasterKeyId": _key,
    "KmsDataKeyReusePeriodSeconds": _reuse,
    "SqsManagedSseEnabled": _managed,
}


def _boolean(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise attribute_value(name)
    return value.lower() == "true"


def _word(value: bool) -> str:
    return "true" if value else "false"


def _limit(settings: QueueSettings) -> str:
    return settings.annotations.get("FifoThroughputLimit", PER_QUEUE)


def _encryption(annotations: Mapping[str, Any]) -> dict[str, str]:
    shown = {"SqsManagedSseEnabled": annotations.get("SqsManagedSseEnabled", "true")}
    if key := annotations.get("KmsMasterKeyId"):
        shown |= {"KmsMasterKeyId": key, "KmsDataKeyReusePeriodSeconds": str(KMS_REUSE_S_DEFAULT)}
    if reuse := annotations.get("KmsDataKeyReusePeriodSeconds"):
        shown["KmsDataKeyReusePeriodSeconds"] = reuse
    return shown


def _policies(settings: QueueSettings, place: Place, defaults: Defaults) -> dict[str, str]:
    found = {
        policies.POLICY: settings.annotations.get(policies.POLICY),
        policies.REDRIVE: redrive_policy(settings, place, defaults),
        policies.ALLOW: allow_policy(settings, place),
    }
    return {name: text for name, text in found.items() if text}
