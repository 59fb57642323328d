"""Full cycles in SQL, with no server of ours between: what psycopg and PostgreSQL do when nothing else is done."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from benchmarks.flows import PAYLOAD, VISIBILITY_S
from benchmarks.load import Load, Tally

Loop = Callable[[AsyncConnection, Load, Tally], Awaitable[None]]
BODY = {"body": PAYLOAD.decode()}

# The least that a queue on PostgreSQL can do, and no promise more: no queues, no receipts, no retries, no retention.
BARE_TABLE = """
    CREATE TABLE bare_messages (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, lease_until timestamptz, body bytea NOT NULL
    );
    CREATE INDEX ON bare_messages (id) WHERE lease_until IS NULL;
"""
BARE_ENQUEUE = "INSERT INTO bare_messages (body) SELECT unnest(%b::bytea[]) RETURNING id"
BARE_CLAIM = """
    UPDATE bare_messages SET lease_until = now() + %b * interval '1 second'
    WHERE id = ANY (ARRAY(
        SELECT id FROM bare_messages WHERE lease_until IS NULL ORDER BY id LIMIT %b FOR UPDATE SKIP LOCKED
    ))
    RETURNING id, body
"""
BARE_ACK = "DELETE FROM bare_messages WHERE id = ANY (%b::bigint[]) RETURNING id"
PGMQ_SEND = "SELECT pgmq.send(%s, %s)"
PGMQ_SEND_BATCH = "SELECT pgmq.send_batch(%s, %s)"
PGMQ_READ = "SELECT msg_id, message FROM pgmq.read(%s, %s, %s)"
PGMQ_DELETE = "SELECT pgmq.delete(%s, %s::bigint)"
PGMQ_DELETE_BATCH = "SELECT pgmq.delete(%s, %s::bigint[])"


async def bare(connection: AsyncConnection, load: Load, tally: Tally) -> None:
    """Three statements, each a transaction of its own."""
    rows = await (await connection.execute(BARE_ENQUEUE, [[PAYLOAD] * load.batch])).fetchall()
    tally.enqueued.extend(message_id for (message_id,) in rows)
    missing = load.batch
    while missing:
        rows = await (await connection.execute(BARE_CLAIM, [VISIBILITY_S, missing])).fetchall()
        if rows:
            ids = [message_id for message_id, _ in rows]
            gone = await (await connection.execute(BARE_ACK, [ids])).fetchall()
            tally.acked.extend(message_id for (message_id,) in gone)
            missing -= len(rows)
        elif tally.given_up():
            return


async def pgmq(connection: AsyncConnection, load: Load, tally: Tally) -> None:
    """The functions of pgmq, each call a transaction of its own."""
    if load.batch == 1:
        sent = await connection.execute(PGMQ_SEND, [load.queue, Jsonb(BODY)])
    else:
        sent = await connection.execute(PGMQ_SEND_BATCH, [load.queue, [Jsonb(BODY)] * load.batch])
    tally.enqueued.extend(message_id for (message_id,) in await sent.fetchall())
    missing = load.batch
    while missing:
        rows = await (await connection.execute(PGMQ_READ, [load.queue, VISIBILITY_S, missing])).fetchall()
        ids = [message_id for message_id, _ in rows]
        if load.batch == 1 and ids:
            await connection.execute(PGMQ_DELETE, [load.queue, ids[0]])
            tally.acked.append(ids[0])
        elif ids:
            gone = await (await connection.execute(PGMQ_DELETE_BATCH, [load.queue, ids])).fetchall()
            tally.acked.extend(message_id for (message_id,) in gone)
        elif tally.given_up():
            return
        missing -= len(ids)


LOOPS: dict[str, Loop] = {"bare": bare, "pgmq": pgmq}


async def run(load: Load, tally: Tally) -> None:
    """Have every connection do cycles until the end."""
    loop = LOOPS[load.flow]

    async def rounds() -> None:
        async with await AsyncConnection.connect(load.address, autocommit=True) as connection:
            while (began_at := time.monotonic()) < load.ends_at:
                await loop(connection, load, tally)
                tally.cycle_done(began_at, load.batch)

    await asyncio.gather(*[rounds() for _ in range(load.connections)])
