"""What a sweep clears: messages whose retention is over or was changed, and rows that mean nothing any more."""

import aiosqlite

from sqslite.adapters.stores.sqlite import groups
from sqslite.adapters.stores.statements import load_statements
from sqslite.domain.limits import DELETED_KNOWN_MS, REDRIVE_KEPT_MS, RETENTION_MS_DEFAULT

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


async def retain(writer: aiosqlite.Connection, changed_by: int, limit: int) -> bool:
    """Go through messages of a queue whose retention was changed by then."""
    due = list(await writer.execute_fetchall(_SQL["retain_due"], {"changed_by": changed_by}))
    if not due:
        return False
    change = dict(due[0])
    queue = {"partition_id": change["partition_id"], "default_ms": RETENTION_MS_DEFAULT}
    kept_ms = [row["kept_ms"] for row in await writer.execute_fetchall(_SQL["retain_queue"], queue)]
    # Where the queue is gone, or says again what it said before, there is nothing to do.
    concerned = kept_ms not in ([], [change["before_ms"]])
    read = {"after_id": change["after_id"], "limit": limit}
    page = list(await writer.execute_fetchall(_SQL["retain_page"], read)) if concerned else []
    if page:
        change |= {"last_id": page[-1]["id"], "kept_ms": kept_ms[0]}
        await writer.execute_fetchall(_SQL["retain_messages"], change)
    await writer.execute_fetchall(_SQL["retain_advance" if len(page) == limit else "retain_done"], change)
    return True


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
