"""The domain's shapes as messages of the protocol, and back."""

import enum
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from google.protobuf.message import Message as Protobuf
from google.protobuf.timestamp_pb2 import Timestamp

from sqslite.domain import limits
from sqslite.domain.errors import InvalidValue, SqsliteError
from sqslite.domain.inspection import PEEKED_STATES
from sqslite.domain.leases import Nack, Receipt, Wish
from sqslite.domain.lifecycle import State
from sqslite.domain.messages import Accepted, BodyKind, Delivery, Message, NewMessage
from sqslite.domain.ports import Extension
from sqslite.domain.queues import DedupScope, NamedQueue, QueueSettings
from sqslite.domain.redrive import RedriveState, RedriveTask
from sqslite.domain.retry import Backoff, BackoffKind
from sqslite.entrypoints.grpc.v1 import sqslite_pb2 as pb

Word = TypeVar("Word", bound=enum.StrEnum)

# By the names in the protocol; there the values are plain numbers.
_KINDS: dict[BodyKind, Any] = {kind: pb.BodyKind.Value(f"BODY_KIND_{kind.name}") for kind in BodyKind}
_STATES: dict[State, Any] = {state: pb.State.Value(f"STATE_{state.name}") for state in PEEKED_STATES}
_BACKOFFS: dict[BackoffKind, Any] = {kind: pb.BackoffKind.Value(f"BACKOFF_KIND_{kind.name}") for kind in BackoffKind}
_SCOPES: dict[DedupScope, Any] = {scope: pb.DedupScope.Value(f"DEDUP_SCOPE_{scope.name}") for scope in DedupScope}
_REDRIVES: dict[RedriveState, Any] = {
    state: pb.RedriveState.Value(f"REDRIVE_STATE_{state.name}") for state in RedriveState
}


def new_message(sent: pb.NewMessage) -> NewMessage:
    """The message as the domain knows it. Raises InvalidValue for a kind of body that is unknown."""
    kind = _word("body_kind", _KINDS, sent.body_kind) or BodyKind.BINARY
    delay_ms = sent.delay_ms if sent.HasField("delay_ms") else None
    return NewMessage(
        body=sent.body,
        body_kind=kind,
        attributes=dict(sent.attributes),
        delay_ms=limits.check_range("delay_ms", delay_ms, 0, limits.DELAY_MS_MAX) if delay_ms else delay_ms,
        max_retries=sent.max_retries,
        dlq=sent.dlq or None,
        trace_id=sent.trace_id or None,
        group_id=sent.group_id or None,
        dedup_id=sent.dedup_id or None,
        retention_ms=sent.retention_ms if sent.HasField("retention_ms") else None,
    )


def ack(sent: pb.AckRequest) -> Receipt:
    """The receipt of an ack. Raises InvalidReceipt."""
    return Receipt.parse(sent.receipt)


def nack(sent: pb.NackRequest) -> Nack:
    """The nack as the domain knows it. Raises InvalidReceipt."""
    delay_ms = sent.delay_ms if sent.HasField("delay_ms") else None
    wish = Wish(delay_ms=delay_ms, error=sent.error or None, dead_letter=sent.dead_letter)
    return Nack(Receipt.parse(sent.receipt), wish)


def extension(sent: pb.ExtendRequest) -> Extension:
    """The extension as the domain knows it. Raises InvalidReceipt."""
    return Extension(Receipt.parse(sent.receipt), sent.visibility_ms)


def settings(sent: pb.QueueSettings) -> QueueSettings:
    """The settings; what is missing has its default. Raises InvalidValue for a word that is unknown."""
    fields: dict[str, Any] = _given(sent)
    for name in ("tags", "annotations"):
        if name in fields:
            fields[name] = dict(fields[name])
    if "redrive_allow" in fields:
        fields["redrive_allow"] = list(sent.redrive_allow.queues)
    if "dedup_scope" in fields:
        fields["dedup_scope"] = _word("dedup_scope", _SCOPES, sent.dedup_scope)
    if "backoff" in fields:
        kind = _word("backoff.kind", _BACKOFFS, sent.backoff.kind) or BackoffKind.NONE
        fields["backoff"] = Backoff(**{**_given(sent.backoff), "kind": kind})
    return QueueSettings(**fields)


def state(sent: int) -> State | None:
    """The state that was asked for; None: none was named. Raises InvalidValue."""
    return _word("state", _STATES, sent)


def message_shown(message: Message) -> pb.Message:
    """A message as it stands."""
    return pb.Message(
        id=message.id,
        body=message.body,
        body_kind=_KINDS[message.body_kind],
        attributes=message.attributes,
        enqueued_at=instant(message.enqueued_at),
        not_before=instant(message.not_before),
        first_claimed_at=instant(message.first_claimed_at),
        lease_until=instant(message.lease_until),
        expires_at=instant(message.expires_at),
        delivery_count=message.delivery_count,
        fence=message.fence,
        max_retries=message.max_retries,
        dlq=message.dlq,
        trace_id=message.trace_id,
        group_id=message.group_id,
        dedup_id=message.dedup_id,
        last_error=message.last_error,
        origin_queue=message.origin_queue,
        origin_delivery_count=message.origin_delivery_count,
    )


def delivery_shown(delivery: Delivery) -> pb.Delivery:
    """A leased message with its receipt."""
    return pb.Delivery(message=message_shown(delivery.message), receipt=delivery.receipt.token())


def seen_shown(state: State, message: Message) -> pb.Seen:
    """A message that was looked at."""
    return pb.Seen(state=state_shown(state), message=message_shown(message))


def state_shown(state: State) -> pb.State:
    """How a message stands."""
    shown: pb.State = _STATES[state]
    return shown


def result_shown(outcome: Accepted | datetime | SqsliteError | None) -> pb.Result:
    """What became of one entry: what it got, None where there is nothing to tell, or why it was refused."""
    if isinstance(outcome, SqsliteError):
        return pb.Result(error=pb.Error(code=outcome.code, text=str(outcome)))
    if isinstance(outcome, Accepted):
        return pb.Result(id=outcome.id, duplicate=outcome.duplicate)
    return pb.Result(lease_until=instant(outcome))


def queue_shown(queue: NamedQueue) -> pb.Queue:
    """A queue with its settings."""
    fields = msgspec.structs.asdict(queue.settings)
    backoff = msgspec.structs.asdict(queue.settings.backoff)
    fields["backoff"] = pb.Backoff(**{**backoff, "kind": _BACKOFFS[queue.settings.backoff.kind]})
    fields["dedup_scope"] = _SCOPES[queue.settings.dedup_scope]
    allowed = queue.settings.redrive_allow
    fields["redrive_allow"] = None if allowed is None else pb.RedriveAllow(queues=allowed)
    return pb.Queue(
        name=queue.name,
        paused=queue.paused,
        settings=pb.QueueSettings(**fields),
        created_at=instant(queue.created_at),
        changed_at=instant(queue.changed_at),
        purged_at=instant(queue.purged_at),
    )


def redrive_shown(redrive: RedriveTask) -> pb.Redrive:
    """A redrive task."""
    return pb.Redrive(
        id=redrive.id,
        queue=redrive.queue,
        state=_REDRIVES[redrive.state],
        moved=redrive.moved,
        created_at=instant(redrive.created_at),
        ended_at=instant(redrive.ended_at),
        to=redrive.to,
        max_per_second=redrive.max_per_second,
        limit=redrive.limit,
    )


def instant(at: datetime | None) -> Timestamp | None:
    """The instant; None where there is none."""
    if at is None:
        return None
    shown = Timestamp()
    shown.FromDatetime(at)
    return shown


def _given(sent: Protobuf) -> dict[str, Any]:
    return {field.name: value for field, value in sent.ListFields()}


def _word(field: str, words: dict[Word, Any], number: int) -> Word | None:
    """The word behind a number of the protocol, None for 0. Raises InvalidValue: enums of proto3 are open."""
    if not number:
        return None
    for word, known in words.items():
        if known == number:
            return word
    raise InvalidValue(field, number, f"one of {', '.join(words)}")
