"""Calls of sqslite's functions in the database by a plain client, and what the store then has."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import psycopg

from sqslite.adapters.entropy import SystemEntropy
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.domain.lifecycle import State
from sqslite.domain.messages import Delivery, Message
from sqslite.domain.ports import Claim
from sqslite.domain.queues import Queue


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """The connection of somebody who knows nothing of sqslite, whose transactions end when they say so."""
    connection = await psycopg.AsyncConnection.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def enqueue(client: psycopg.AsyncConnection, queue: str = "orders", body: str | None = "1", **fields: Any) -> int:
    given = {"queue": queue, "body": body, **fields}
    parameters = ", ".join(f"{name} => %({name})s" for name in given)
    return await only(client, f"SELECT sqslite.enqueue({parameters})", given)


async def ack(client: psycopg.AsyncConnection, receipt: str | None) -> bool:
    return await only(client, "SELECT sqslite.ack(%(receipt)s)", {"receipt": receipt})


async def only(client: psycopg.AsyncConnection, sql: str, parameters: dict[str, Any] | None = None) -> Any:
    ((value,),) = await (await client.execute(sql.encode(), parameters)).fetchall()
    return value


async def claim(backend: PostgresBackend, queue: Queue, limit: int = 10) -> list[Delivery]:
    wish = Claim(limit=limit, visibility_ms=60_000, secrets=SystemEntropy().secrets(limit))
    return await backend.store.claim(queue, wish)


async def messages(backend: PostgresBackend, queue: str = "orders") -> list[Message]:
    found = await backend.catalog.find(queue)
    if found is None:
        return []
    pages = [
        await backend.stats.peek(found.partition_id, state, None, 100)
        for state in (State.READY, State.DELAYED, State.LEASED)
    ]
    return sorted((message for page in pages for message in page), key=lambda message: message.id)
