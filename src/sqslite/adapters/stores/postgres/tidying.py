"""Tidy: delete, a bounded number at a time, what purged and deleted queues, deduplication and redrives have left."""

from sqslite.adapters.stores.postgres.database import Database
from sqslite.domain.limits import DELETED_KNOWN_MS, REDRIVE_KEPT_MS

PARTITIONS_MAX = 100
LEFT_BEHIND = ("tidy_messages", "tidy_groups", "tidy_dedup", "tidy_redrives")


async def tidy(database: Database, limit: int) -> int:
    """Delete up to `limit` rows; how many it were."""
    count = 0
    for (partition_id,) in await database.read("tidy_partitions", PARTITIONS_MAX):
        before = count
        for statement in LEFT_BEHIND:
            if count < limit:
                count += len(await database.write(statement, partition_id, limit - count))
        if count == limit:
            return count
        if count == before:
            # A transaction that began before the drop may still bring messages: only later is the partition forgotten.
            await database.write("tidy_partition", partition_id)
    count += len(await database.write("tidy_past_dedup", limit - count))
    count += len(await database.write("tidy_past_redrives", limit - count, REDRIVE_KEPT_MS))
    return count + len(await database.write("tidy_past_deleted", limit - count, DELETED_KNOWN_MS))
