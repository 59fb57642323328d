"""Enqueue and ack from Python, on each kind of connection that a transaction may be on."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
import sqlalchemy
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession, create_async_engine
from sqlalchemy.orm import Session, scoped_session, sessionmaker
from sqlalchemy.pool import NullPool

from sqslite.adapters.client import in_transaction
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.domain.errors import BodyTooLarge, InvalidValue
from sqslite.domain.messages import BodyKind
from sqslite.domain.queues import QueueSettings
from tests.integration.sql_client import claim, messages


@dataclass
class Transactions:
    """A connection, and the functions for its kind, all called as if they were asynchronous."""

    connection: Any
    asynchronous: bool

    async def enqueue(self, body: object = 1, queue: str = "orders", **options: Any) -> int:
        call = in_transaction.enqueue_async if self.asynchronous else in_transaction.enqueue
        return await _done(call(self.connection, queue, body, **options))

    async def ack(self, receipt: str) -> bool:
        call = in_transaction.ack_async if self.asynchronous else in_transaction.ack
        return await _done(call(self.connection, receipt))

    async def commit(self) -> None:
        await _done(self.connection.commit())

    async def rollback(self) -> None:
        await _done(self.connection.rollback())


async def _done(result: Any) -> Any:
    return await result if inspect.isawaitable(result) else result


async def _psycopg(url: str) -> Any:
    return psycopg.connect(url)


async def _psycopg_async(url: str) -> Any:
    return await psycopg.AsyncConnection.connect(url)


async def _psycopg_of_its_own(url: str) -> Any:
    return psycopg.connect(url, row_factory=dict_row, cursor_factory=psycopg.RawCursor)


async def _psycopg_async_of_its_own(url: str) -> Any:
    return await psycopg.AsyncConnection.connect(url, row_factory=dict_row, cursor_factory=psycopg.AsyncRawCursor)


async def _connection(url: str) -> sqlalchemy.Connection:
    return sqlalchemy.create_engine(_of_sqlalchemy(url), poolclass=NullPool).connect()


async def _session(url: str) -> Session:
    return Session(sqlalchemy.create_engine(_of_sqlalchemy(url), poolclass=NullPool))


async def _scoped_session(url: str) -> scoped_session[Session]:
    return scoped_session(sessionmaker(sqlalchemy.create_engine(_of_sqlalchemy(url), poolclass=NullPool)))


async def _async_connection(url: str) -> AsyncConnection:
    return await create_async_engine(_of_sqlalchemy(url), poolclass=NullPool).connect()


async def _async_session(url: str) -> AsyncSession:
    return AsyncSession(create_async_engine(_of_sqlalchemy(url), poolclass=NullPool))


def _of_sqlalchemy(url: str) -> str:
    return f"postgresql+psycopg://{url.partition('://')[2]}"


KINDS = [
    _psycopg,
    _psycopg_of_its_own,
    _psycopg_async,
    _psycopg_async_of_its_own,
    _connection,
    _session,
    _scoped_session,
    _async_connection,
    _async_session,
]


@pytest.fixture
def backend(postgres_on_its_own_time: PostgresBackend) -> PostgresBackend:
    return postgres_on_its_own_time


@pytest.fixture(params=KINDS, ids=lambda kind: kind.__name__.strip("_"))
async def transactions(
    request: pytest.FixtureRequest, backend: PostgresBackend, postgres_store_url: str
) -> AsyncIterator[Transactions]:
    connect: Callable[[str], Awaitable[Any]] = request.param
    connection = await connect(postgres_store_url)
    yield Transactions(connection, asynchronous="async" in connect.__name__)
    await _done(connection.close())


async def test_what_is_committed_is_received_and_what_is_rolled_back_never_was(backend, transactions):
    await transactions.enqueue({"undone": True})
    await transactions.rollback()
    message_id = await transactions.enqueue({"größe": [1, 2.5, None]})
    assert await messages(backend) == []
    await transactions.commit()
    (message,) = await messages(backend)
    assert (message.id, message.body, message.body_kind) == (
        message_id,
        '{"größe":[1,2.5,null]}'.encode(),
        BodyKind.JSON,
    )


async def test_every_option_arrives(backend, transactions):
    options: dict[str, Any] = {
        "max_retries": 7,
        "dlq": "failed",
        "trace_id": "t",
        "group_id": "g",
        "attributes": {"priority": "high"},
    }
    first = await transactions.enqueue(delay_ms=1_000, retention_ms=2_000, dedup_id="d", **options)
    assert await transactions.enqueue(dedup_id="d") == first
    await transactions.commit()
    (message,) = await messages(backend)
    assert {name: getattr(message, name) for name in options} == options
    assert message.expires_at is not None
    assert (message.expires_at - message.not_before).total_seconds() == 1


async def test_none_leaves_it_to_the_queue(backend, transactions):
    await backend.catalog.ensure("orders", QueueSettings(max_retries=9, dlq="failed", retention_ms=1_000))
    await transactions.enqueue(max_retries=None, dlq=None, attributes=None, group_id=None, delay_ms=None)
    await transactions.commit()
    (message,) = await messages(backend)
    assert (message.max_retries, message.dlq, message.attributes) == (0, None, {})


@pytest.mark.parametrize(
    ("kind", "body", "content"),
    [(BodyKind.TEXT, ":name %s ü", ":name %s ü".encode()), (BodyKind.BINARY, b"\x00\xff", b"\x00\xff")],
)
async def test_text_and_bytes_arrive_as_they_are(backend, transactions, kind, body, content):
    await transactions.enqueue(body, body_kind=kind)
    await transactions.commit()
    (message,) = await messages(backend)
    assert (message.body, message.body_kind) == (content, kind)


async def test_an_ack_counts_with_the_commit_only(backend, transactions):
    queue = await backend.catalog.ensure("orders", QueueSettings())
    await transactions.enqueue()
    await transactions.commit()
    (delivery,) = await claim(backend, queue)
    assert await transactions.ack(delivery.receipt.token()) is True
    await transactions.rollback()
    assert len(await messages(backend)) == 1
    assert await transactions.ack(delivery.receipt.token()) is True
    await transactions.commit()
    assert await messages(backend) == []
    assert await transactions.ack(delivery.receipt.token()) is False


async def test_what_this_queue_refuses_is_told_in_sqslites_words(backend, transactions):
    await backend.catalog.ensure("orders", QueueSettings(fifo=True, body_bytes_max=5))
    with pytest.raises(InvalidValue) as refusal:
        await transactions.enqueue(trace_id="; got")
    assert refusal.value.field == "group_id"
    assert str(refusal.value) == "group_id must be given for each message of orders, which is a FIFO queue; got null"
    # What the transaction may do now is PostgreSQL's to say.
    with pytest.raises((psycopg.errors.InFailedSqlTransaction, sqlalchemy.exc.DBAPIError)):
        await transactions.enqueue(group_id="g")
    await transactions.rollback()
    with pytest.raises(BodyTooLarge) as too_large:
        await transactions.enqueue("1234", group_id="g")
    assert str(too_large.value) == "body must be at most 5 bytes, attributes included; got 6 bytes"
