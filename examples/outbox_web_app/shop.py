"""A web application: an order and the message about it are one transaction. Run as a program it serves on PORT."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar, get, post
from litestar.datastructures import State
from litestar.exceptions import ClientException, NotFoundException
from psycopg.errors import CheckViolation
from psycopg_pool import AsyncConnectionPool

from sqslite.adapters.client.in_transaction import enqueue_async

SCHEMA = Path(__file__).with_name("schema.sql")


@dataclass
class NewOrder:
    """What a customer asks for."""

    item: str
    pieces: int = 1


@dataclass
class Order:
    """An order as it stands."""

    id: int
    item: str
    pieces: int
    parcel: str | None = None


@post("/orders")
async def place_order(data: NewOrder, state: State) -> Order:
    """Three writes, and either all of them happen or none."""
    try:
        async with state.pool.connection() as connection, connection.transaction():
            placed = await connection.execute(
                "INSERT INTO orders (item, pieces) VALUES (%s, %s) RETURNING id", [data.item, data.pieces]
            )
            (order_id,) = await placed.fetchone()
            await enqueue_async(connection, "parcels", {"order": order_id})
            # Where the shelf holds less than that, the order and its message have never been.
            await connection.execute("UPDATE stock SET pieces = pieces - %s WHERE item = %s", [data.pieces, data.item])
    except CheckViolation as violation:
        raise ClientException(f"there are not {data.pieces} of {data.item}", status_code=409) from violation
    return Order(order_id, data.item, data.pieces)


@get("/orders/{order_id:int}")
async def show_order(order_id: int, state: State) -> Order:
    """The order; `parcel` is null until the worker has packed it."""
    async with state.pool.connection() as connection:
        found = await connection.execute("SELECT id, item, pieces, parcel FROM orders WHERE id = %s", [order_id])
        row = await found.fetchone()
    if row is None:
        raise NotFoundException(f"no order {order_id}")
    return Order(*row)


@asynccontextmanager
async def database(app: Litestar) -> AsyncIterator[None]:
    """The pool, for as long as the application runs; its tables are made at the start."""
    async with AsyncConnectionPool(os.environ["DATABASE_URL"], open=False) as pool:
        async with pool.connection() as connection:
            await connection.execute(SCHEMA.read_text())
        app.state.pool = pool
        yield


app = Litestar([place_order, show_order], lifespan=[database])

if __name__ == "__main__":
    import asyncio

    asyncio.run(Server(app, port=int(os.environ.get("PORT", "8000")), interface=Interfaces.ASGI).serve())
