"""What one statement of the store costs PostgreSQL, by its own account (EXPLAIN ANALYZE), per message."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

import psycopg
from psycopg.rows import TupleRow

from benchmarks.direct import DirectQueue
from sqslite.adapters.stores.postgres.backend import PostgresBackend
from sqslite.adapters.stores.postgres.claim_cursor import ClaimCursor
from sqslite.adapters.stores.postgres.connections import Connections, Session, rows_of
from sqslite.adapters.stores.postgres.database import Database
from sqslite.adapters.stores.postgres.store import PostgresStore
from sqslite.domain.queues import QueueSettings

EXPLAIN = b"EXPLAIN (ANALYZE, BUFFERS, WAL, TIMING OFF, FORMAT JSON) "
EXPLAINED = ("enqueue", "claim", "ack")
EXPLAIN_S_MAX = 60.0


@dataclass(frozen=True)
class Cost:
    """Of one statement, as often as it ran: blocks and WAL on average, times the median."""

    blocks: float
    dirtied: float
    wal_bytes: float
    wal_records: float
    planning_ms: float
    execution_ms: float


class ExplainingDatabase(Database):
    """Explains what it is about to write, rolls that back, and then does write it."""

    plans: defaultdict[str, list[dict[str, Any]]]

    async def write(self, name: str, *parameters: object) -> list[TupleRow]:
        if name in EXPLAINED:
            text, values = self.prepared(name, parameters)

            async def explain(session: Session) -> None:
                async with session.transaction() as undone:
                    ((plan,),) = await rows_of(session, EXPLAIN + text, values)
                    self.plans[name].append(plan[0])
                    raise psycopg.Rollback(undone)

            await self.transact_by_hand(explain, EXPLAIN_S_MAX)
        return await super().write(name, *parameters)

    def costs(self) -> dict[str, Cost]:
        """What each statement cost since the last time."""
        plans, self.plans = self.plans, defaultdict(list)
        return {name: _cost(plans[name]) for name in EXPLAINED}


@asynccontextmanager
async def explained_queue(url: str, name: str) -> AsyncIterator[tuple[DirectQueue, ExplainingDatabase]]:
    """A queue of a migrated database whose statements are explained."""
    backend = PostgresBackend(url, pool_size=2)
    connections = Connections(url, pool_size=2, connection_timeout_s=5, waiters_max=10)
    database = ExplainingDatabase(connections, None)
    database.plans = defaultdict(list)
    await backend.open()
    await connections.open()
    try:
        queue = await backend.catalog.ensure(name, QueueSettings())
        yield DirectQueue(PostgresStore(database, ClaimCursor()), queue), database
    finally:
        await connections.close()
        await backend.close()


def _cost(plans: list[dict[str, Any]]) -> Cost:
    def each(name: str) -> list[float]:
        return [plan["Plan"][name] for plan in plans]

    return Cost(
        blocks=mean(each("Shared Hit Blocks")) + mean(each("Shared Read Blocks")),
        dirtied=mean(each("Shared Dirtied Blocks")),
        wal_bytes=mean(each("WAL Bytes")),
        wal_records=mean(each("WAL Records")),
        planning_ms=median(plan["Planning Time"] for plan in plans),
        execution_ms=median(plan["Execution Time"] for plan in plans),
    )
