"""Queues in PostgreSQL."""

import msgspec
from psycopg.rows import TupleRow

from sqslite.adapters.stores.postgres.database import Database
from sqslite.domain.errors import StoreUnavailable
from sqslite.domain.queues import Queue, QueueSettings

RACES_MAX = 5
_encoded = msgspec.json.Encoder().encode
_decoded = msgspec.json.Decoder(QueueSettings).decode


class PostgresQueueCatalog:
    """The catalog port."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, name: str) -> Queue | None:
        """Look a queue up."""
        rows = await self._database.read("queue_find", name)
        return _queue_from(rows[0]) if rows else None

    async def ensure(self, name: str, settings: QueueSettings) -> Queue:
        """Look a queue up or create it."""
        # Looked up first, because an insert that finds the queue there still uses a partition number up.
        for _ in range(RACES_MAX):
            queue = await self.find(name)
            if queue is not None:
                return queue
            created = await self._database.write("queue_ensure", name, _encoded(settings).decode())
            if created:
                return _queue_from(created[0])
        raise StoreUnavailable(f"the queue {name} comes and goes")

    async def put(self, name: str, settings: QueueSettings) -> tuple[Queue, bool]:
        """Create a queue or change its settings."""
        stored = _encoded(settings).decode()
        for _ in range(RACES_MAX):
            changed = await self._database.write("queue_put", name, stored)
            if changed:
                return _queue_from(changed[0]), False
            created = await self._database.write("queue_ensure", name, stored)
            if created:
                return _queue_from(created[0]), True
        raise StoreUnavailable(f"the queue {name} comes and goes")

    async def page(self, after: str, limit: int, prefix: str = "") -> list[Queue]:
        """Queues by name."""
        return [_queue_from(row) for row in await self._database.read("queue_page", after, limit, prefix)]


def _queue_from(row: TupleRow) -> Queue:
    name, partition_id, settings = row
    return Queue(name=name, partition_id=partition_id, settings=_decoded(settings))
