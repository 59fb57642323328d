"""What a sweep deletes: messages whose retention is over, and rows that mean nothing any more."""

import aiosqlite

from sqslite.adapters.stores.sqlite import groups
from sqslite.adapters.stores.statements import load_statements
from sqslite.domain.limits import DELETED_KNOWN_MS, REDRIVE_KEPT_MS

_SQL = load_statements(__package__)

# A dropped partition itself comes last, once nothing is left in it.
_TIDY = (
    "tidy_unleased",
    "tidy_leased",
    "tidy_groups",
    "tidy_dedup",
    "tidy_redrives",
    "tidy_dedup_past",
    "tidy_redrives_past",
    "tidy_deleted_past",
    "tidy_partitions",
)


async def expire(writer: aiosqlite.Connection, now: int, limit: int) -> int:
    """Delete messages that are not leased and whose retention is over."""
    rows = list(await writer.execute_fetchall(_SQL["expire"], {"now": now, "limit": limit}))
    await groups.left(writer, [(row["partition_id"], row["served_group"]) for row in rows])
    return len(rows)


async def tidy(writer: aiosqlite.Connection, now: int, limit: int) -> int:
    """Delete rows that mean nothing any more."""
    deleted = 0
    times = {
        "now": now,
        "ended_before": now - REDRIVE_KEPT_MS * 1_000,
        "deleted_before": now - DELETED_KNOWN_MS * 1_000,
    }
    for statement in _TIDY:
        rows = await writer.execute_fetchall(_SQL[statement], {**times, "limit": limit - deleted})
        deleted += len(list(rows))
        if deleted >= limit:
            break
    return deleted
