"""The calls of those who send messages and of those who work on them. What a second try does is said with each."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, cast

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from sqslite.adapters.client.calls import Call, Session, UseCases, queue_path
from sqslite.adapters.client.reading import read, received, results, shown_message
from sqslite.adapters.client.requests import Request
from sqslite.adapters.client.talking import Batch, Talk, ask, ask_for_each
from sqslite.domain import limits
from sqslite.domain.bodies import check_body
from sqslite.domain.errors import InvalidValue, MessageNotFound, SqsliteError, StaleReceipt
from sqslite.domain.leases import Nack, Receipt, Wish
from sqslite.domain.messages import Accepted, BodyKind, NewMessage, Received
from sqslite.domain.ports import Extension
from sqslite.wire.shapes import (
    AckBatchIn,
    AckEntry,
    EnqueueBatchIn,
    ExtendBatchIn,
    ExtendEntry,
    MessageOut,
    NackBatchIn,
    NackEntry,
    ReceiveIn,
    ResultOut,
)

# RFC 8259.
JSON_WHITE_SPACE = b" \t\n\r"
ACK, NACK, EXTEND = "/v1/messages:ack", "/v1/messages:nack", "/v1/messages:extend"


def enqueue(queue: str, messages: Sequence[NewMessage]) -> Call[list[Accepted | SqsliteError]]:
    """A message without a dedup_id is given one where it may be sent again, so that it is kept once.

    White space around a JSON body is left out: in a request nobody could tell it from the request's own.
    """

    def talk(session: Session) -> Talk[list[Accepted | SqsliteError]]:
        path = queue_path(queue, "/messages:batch")
        entries = [_entry(message, session) for message in messages]
        batch = Batch(lambda part: _post(path, EnqueueBatchIn([Raw(entry) for entry in part])), results)
        answers = yield from _answered(batch, entries, session)
        return [_accepted(answer, message) for answer, message in zip(answers, messages, strict=True)]

    return Call(talk, lambda on: on.messaging.enqueue(queue, [_bare(message) for message in messages]))


def _bare(message: NewMessage) -> NewMessage:
    if message.body_kind is not BodyKind.JSON:
        return message
    body = message.body.strip(JSON_WHITE_SPACE)
    return message if body == message.body else replace(message, body=body)


def claim(
    queue: str, limit: int | None, visibility_ms: int | None, wait_ms: int | None, attempt_id: str | None
) -> Call[Sequence[Received]]:
    """A second try has the attempt_id of the first, and gets the messages that the first one leased."""

    def talk(session: Session) -> Talk[Sequence[Received]]:
        own_id = session.new_id() if attempt_id is None and session.retrying.retries else attempt_id
        asked = ReceiveIn(max=limit, visibility_ms=visibility_ms, wait_ms=wait_ms, attempt_id=own_id)
        # A queue may have a wait of its own, which only the server knows.
        request = _post(queue_path(queue, ":receive"), asked, limits.WAIT_MS_MAX if wait_ms is None else wait_ms)
        reply = yield from ask(request, session.retrying)
        return [received(answer) for answer in read(reply.body, list[MessageOut])]

    return Call(talk, lambda on: on.messaging.claim(queue, limit, visibility_ms, wait_ms, attempt_id=attempt_id))


def ack(receipts: Sequence[Receipt]) -> Call[list[SqsliteError | None]]:
    """A message that is gone when its ack is tried again was acked by the first try."""
    batch = Batch(lambda part: _post(ACK, AckBatchIn([Raw(e) for e in part])), _done, _unless_gone)
    entries = [AckEntry(receipt=receipt.token()) for receipt in receipts]
    return Call(_for_each(batch, entries), lambda on: on.messaging.ack(receipts))


def ack_unproven(message_ids: Sequence[int]) -> Call[list[SqsliteError | None]]:
    """As an ack. Raises InvalidValue for what cannot be an id."""
    for message_id in message_ids:
        limits.check_range("id", message_id, 1, limits.MESSAGE_ID_MAX)
    batch = Batch(lambda part: _post(ACK, AckBatchIn([Raw(e) for e in part])), _done, _unless_gone)
    entries = [AckEntry(id=message_id) for message_id in message_ids]
    return Call(_for_each(batch, entries), lambda on: on.messaging.ack_unproven(message_ids))


def nack(nacks: Sequence[Nack]) -> Call[list[SqsliteError | None]]:
    """A lease that has ended when its nack is tried again was given up by the first try, or it had ended before."""
    batch = Batch(lambda part: _post(NACK, NackBatchIn([Raw(e) for e in part])), _done, _unless_not_held)
    return Call(_for_each(batch, [_nack_entry(nack) for nack in nacks]), lambda on: on.messaging.nack(nacks))


def extend(extensions: Sequence[Extension]) -> Call[list[datetime | SqsliteError]]:
    """A second try counts from its own time; one that releases (0) finds a stale receipt where the first one did."""

    def talk(session: Session) -> Talk[list[datetime | SqsliteError]]:
        batch = Batch(lambda part: _post(EXTEND, ExtendBatchIn([Raw(e) for e in part])), _leases)
        entries = [
            msgspec.json.encode(ExtendEntry(receipt=one.receipt.token(), visibility_ms=one.visibility_ms))
            for one in extensions
        ]
        return cast(list[datetime | SqsliteError], (yield from ask_for_each(batch, entries, session.retrying)))

    return Call(talk, lambda on: on.messaging.extend(extensions))


def release(deliveries: Sequence[Received]) -> Call[None]:
    """As a nack."""
    nacks = [Nack(delivery.receipt, Wish(delay_ms=0)) for delivery in deliveries]
    given_up = nack(nacks)

    def talk(session: Session) -> Talk[None]:
        yield from given_up.talk(session)

    def directly(on: UseCases) -> Any:
        return on.messaging.release(deliveries)

    return Call(talk, directly)


def _for_each(batch: Batch, entries: Sequence[object]) -> Callable[[Session], Talk[list[SqsliteError | None]]]:
    def talk(session: Session) -> Talk[list[SqsliteError | None]]:
        encoded = [_encoded(entry) for entry in entries]
        return cast(list[SqsliteError | None], (yield from _answered(batch, encoded, session)))

    return talk


def _answered(batch: Batch, entries: Sequence[bytes | InvalidValue], session: Session) -> Talk[list[object]]:
    """A result for each entry, in order: that of the server, or why it was not sent."""
    answers = iter((yield from ask_for_each(batch, [e for e in entries if isinstance(e, bytes)], session.retrying)))
    return [next(answers) if isinstance(entry, bytes) else entry for entry in entries]


def _encoded(entry: object) -> bytes | InvalidValue:
    try:
        return msgspec.json.encode(entry)
    except UnicodeEncodeError as fault:
        # Of all that these entries have, an error is the one text that anybody writes.
        return InvalidValue("error", fault.object, "free of lone surrogates")


def _post(path: str, body: object, wait_ms: int = 0) -> Request:
    return Request(method="POST", path=path, body=msgspec.json.encode(body), wait_ms=wait_ms)


def _entry(message: NewMessage, session: Session) -> bytes | InvalidValue:
    """The message as it is sent; or why it cannot be, for it would spoil the request for all the others."""
    try:
        check_body(message)
        return shown_message(_known_again(message, session))
    except InvalidValue as fault:
        return fault
    except UnicodeEncodeError as fault:
        return InvalidValue("each text of a message", fault.object, "free of lone surrogates")


def _known_again(message: NewMessage, session: Session) -> NewMessage:
    if message.dedup_id is not None or not session.retrying.retries:
        return message
    return replace(message, dedup_id=session.new_id())


def _accepted(answer: object, message: NewMessage) -> Accepted | SqsliteError:
    if isinstance(answer, SqsliteError):
        return answer
    assert isinstance(answer, ResultOut)
    # With a dedup_id of the client's own, it is this very message that was there.
    return Accepted(cast(int, answer.id), answer.duplicate is True and message.dedup_id is not None)


def _done(body: bytes) -> list[SqsliteError | None]:
    return [result if isinstance(result, SqsliteError) else None for result in results(body)]


def _leases(body: bytes) -> list[object]:
    return [result if isinstance(result, SqsliteError) else result.lease_until for result in results(body)]


def _unless_gone(refusal: SqsliteError) -> SqsliteError | None:
    return None if isinstance(refusal, MessageNotFound) else refusal


def _unless_not_held(refusal: SqsliteError) -> SqsliteError | None:
    return None if isinstance(refusal, MessageNotFound | StaleReceipt) else refusal


def _nack_entry(nack: Nack) -> NackEntry:
    wish = nack.wish
    token = nack.receipt.token()
    return NackEntry(receipt=token, delay_ms=wish.delay_ms, error=wish.error, dead_letter=wish.dead_letter)
