"""Enqueue and ack in a transaction of your own, on a PostgreSQL connection of your own.

The message or the ack comes to be with your commit, together with all else that the transaction did. After a rollback
nothing happened. Nothing here commits or rolls back.

Connections are those of psycopg and of SQLAlchemy on psycopg; each function names its own. Beside InvalidValue and
BodyTooLarge, whatever the driver or SQLAlchemy raises reaches you as it is: the transaction is yours.
"""

import base64
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict, Unpack

import msgspec
import psycopg
from msgspec import Struct
from psycopg.rows import tuple_row

from sqslite.domain import limits
from sqslite.domain.accepting import check_message
from sqslite.domain.errors import BodyTooLarge, InvalidValue, SqsliteError
from sqslite.domain.leases import Receipt
from sqslite.domain.messages import BodyKind, NewMessage
from sqslite.domain.queues import Defaults

if TYPE_CHECKING:
    # SQLAlchemy is the caller's to have or not.
    import sqlalchemy.ext.asyncio
    import sqlalchemy.orm

    SyncConnection: TypeAlias = (
        psycopg.Connection[Any]
        | sqlalchemy.Connection
        | sqlalchemy.orm.Session
        | sqlalchemy.orm.scoped_session[sqlalchemy.orm.Session]
    )
    AsyncConnection: TypeAlias = (
        psycopg.AsyncConnection[Any] | sqlalchemy.ext.asyncio.AsyncConnection | sqlalchemy.ext.asyncio.AsyncSession
    )

INVALID_PARAMETER_VALUE = "22023"
# As the functions word it, always in one line; some drivers put more before or behind it.
_REFUSAL = re.compile(r"(?:<class '[^']*'>: )?(?P<field>.+?) must be (?P<allowed>.+?); got (?P<value>.*)")
_TOO_LARGE = re.compile(r"at most (\d+) bytes, attributes included; got (\d+) bytes")
# What a queue allows for bodies, only the database knows.
_ANY_QUEUE = Defaults(body_bytes_max=limits.BODY_BYTES_MAX_CEILING)


class Options(TypedDict, total=False):
    """What a message may have beside its body; what is missing or None is left to the queue, then to the service.

    `delay_ms`: milliseconds before it can be received. `max_retries`: deliveries before dead-lettering.
    `dlq`: its dead-letter queue. `group_id`: the group whose order a FIFO queue keeps. `dedup_id`: a second message
    with it is not kept. `retention_ms`: milliseconds that it is kept. `attributes`: named texts.
    """

    body_kind: BodyKind
    delay_ms: int | None
    max_retries: int | None
    dlq: str | None
    trace_id: str | None
    group_id: str | None
    dedup_id: str | None
    attributes: Mapping[str, str] | None
    retention_ms: int | None


def enqueue(connection: "SyncConnection", queue: str, body: object, **options: Unpack[Options]) -> int:
    """Enqueue a message when the connection's transaction commits; its id, or that of the first with its dedup_id.

    `body` is anything that msgspec makes JSON of; with `body_kind` TEXT a str, with BINARY bytes. The queue comes into
    being with its first message. Raises InvalidValue and BodyTooLarge. What any queue would refuse is refused before
    the database is asked; where this one refuses it, PostgreSQL lets the transaction only be rolled back.
    """
    return int(_called(connection, _ENQUEUE, _message_values(queue, body, options)))


def ack(connection: "SyncConnection", receipt: str) -> bool:
    """Delete the received message when the connection's transaction commits; False where the receipt is not current.

    Then the message was acked already or somebody else has received it, and the work should be rolled back.
    Raises InvalidReceipt where the text was never a receipt.
    """
    return bool(_called(connection, _ACK, _receipt_values(receipt)))


async def enqueue_async(connection: "AsyncConnection", queue: str, body: object, **options: Unpack[Options]) -> int:
    """As `enqueue`, on an asynchronous connection."""
    return int(await _called_async(connection, _ENQUEUE, _message_values(queue, body, options)))


async def ack_async(connection: "AsyncConnection", receipt: str) -> bool:
    """As `ack`, on an asynchronous connection."""
    return bool(await _called_async(connection, _ACK, _receipt_values(receipt)))


class _Function(Struct, frozen=True):
    """A function in the database, by name, with the types of its parameters."""

    name: str
    parameters: Mapping[str, str]

    def call(self, placeholder: str) -> str:
        """The statement that calls it, with placeholders such as `%(name)s`."""
        given = ", ".join(
            f"{name} => CAST({placeholder.replace('name', name)} AS {kind})" for name, kind in self.parameters.items()
        )
        return f"SELECT sqslite.{self.name}({given})"


_ENQUEUE = _Function(
    "enqueue",
    {
        "queue": "text",
        "body": "text",
        "body_kind": "text",
        "delay_ms": "bigint",
        "max_retries": "bigint",
        "dlq": "text",
        "trace_id": "text",
        "group_id": "text",
        "dedup_id": "text",
        "attributes": "jsonb",
        "retention_ms": "bigint",
    },
)
_ACK = _Function("ack", {"receipt": "text"})


def _called(connection: "SyncConnection", function: _Function, values: Mapping[str, object]) -> Any:
    with _refusals_in_our_words():
        if isinstance(connection, psycopg.Connection):
            # A plain cursor, whatever kind of cursor and row the connection makes for its owner.
            with psycopg.Cursor(connection, row_factory=tuple_row) as cursor:
                return _only(cursor.execute(function.call("%(name)s").encode(), values).fetchone())
        from sqlalchemy import text

        return connection.execute(text(function.call(":name")), values).scalar_one()


async def _called_async(connection: "AsyncConnection", function: _Function, values: Mapping[str, object]) -> Any:
    with _refusals_in_our_words():
        if isinstance(connection, psycopg.AsyncConnection):
            async with psycopg.AsyncCursor(connection, row_factory=tuple_row) as cursor:
                return _only(await (await cursor.execute(function.call("%(name)s").encode(), values)).fetchone())
        from sqlalchemy import text

        return (await connection.execute(text(function.call(":name")), values)).scalar_one()


def _only(row: tuple[Any, ...] | None) -> Any:
    assert row is not None, "a SELECT of one function call gives one row"
    return row[0]


def _message_values(queue: str, body: object, options: Options) -> dict[str, object]:
    """The parameters of the function. Raises InvalidValue where no queue could accept them, or no SQL carry them."""
    limits.check_queue_name("queue", queue)
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    kind = _kind(given.pop("body_kind", BodyKind.JSON))
    sent, content = _body(body, kind)
    message = NewMessage(body=content, body_kind=kind, **{**given, "attributes": dict(given.get("attributes", {}))})
    # Under the names that they have here, and 0, for ever, is not for a message to choose.
    limits.check_range("delay_ms", message.delay_ms or 0, 0, limits.DELAY_MS_MAX)
    limits.check_range("retention_ms", given.get("retention_ms", 1), 1, limits.RETENTION_MS_MAX)
    check_message(queue, message, _ANY_QUEUE)
    return {
        "queue": queue,
        "body": sent,
        "body_kind": kind.value,
        "delay_ms": message.delay_ms,
        "max_retries": message.max_retries,
        "dlq": message.dlq,
        "trace_id": message.trace_id,
        "group_id": message.group_id,
        "dedup_id": message.dedup_id,
        "attributes": msgspec.json.encode(message.attributes).decode(),
        "retention_ms": message.retention_ms,
    }


def _receipt_values(receipt: str) -> dict[str, object]:
    Receipt.parse(receipt)
    return {"receipt": receipt}


def _kind(kind: str) -> BodyKind:
    try:
        return BodyKind(kind)
    except ValueError:
        raise InvalidValue("body_kind", kind, "json, text or binary") from None


def _body(body: object, kind: BodyKind) -> tuple[str, bytes]:
    """The body as the function takes it, and the bytes that it stands for."""
    if kind is BodyKind.JSON:
        content = msgspec.json.encode(body)
        return content.decode(), content
    if kind is BodyKind.BINARY:
        if not isinstance(body, bytes | bytearray | memoryview):
            raise InvalidValue("body", body, "bytes when body_kind is binary")
        return base64.b64encode(body).decode(), bytes(body)
    if not isinstance(body, str):
        raise InvalidValue("body", body, "a str when body_kind is text")
    try:
        content = body.encode()
    except UnicodeEncodeError:
        raise InvalidValue("body", body, "free of lone surrogates") from None
    if "\0" in body:
        raise InvalidValue("body", body, "free of NUL, which PostgreSQL takes in no text")
    return body, content


@contextmanager
def _refusals_in_our_words() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        refusal = _refusal(error)
        if refusal is None:
            raise
        raise refusal from error


def _refusal(error: Exception) -> SqsliteError | None:
    """What a function of sqslite refused, None where the error is something else."""
    # SQLAlchemy wraps the driver's error.
    told = getattr(error, "orig", None) or error
    said = _REFUSAL.match(str(told))
    if getattr(told, "sqlstate", None) != INVALID_PARAMETER_VALUE or said is None:
        return None
    if too_large := _TOO_LARGE.search(said[0]):
        return BodyTooLarge(int(too_large[2]), int(too_large[1]))
    # The value is JSON already, and cut to a length that can be shown.
    return InvalidValue(said["field"], msgspec.Raw(said["value"].encode()), said["allowed"])
