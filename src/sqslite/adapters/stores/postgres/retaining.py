"""Retain: after a queue's retention was changed, its messages are gone through, a bounded number at a time."""

from psycopg.rows import TupleRow

from sqslite.adapters.stores.postgres.database import Database, Statements
from sqslite.domain.limits import RETENTION_CHANGE_MS, RETENTION_MS_DEFAULT


async def retain(database: Database, limit: int) -> bool:
    """Go through up to `limit` messages of one change; False where none is under way that nobody else is at."""

    async def go_on(statements: Statements) -> bool:
        changes = await statements.write("retain_take", RETENTION_CHANGE_MS, RETENTION_MS_DEFAULT)
        if changes:
            await _gone_on(statements, changes[0], limit)
        return bool(changes)

    # Nearly always there is none, and one look tells.
    ((due,),) = await database.read("retain_due", RETENTION_CHANGE_MS)
    return bool(due) and await database.transact(go_on)


async def _gone_on(statements: Statements, change: TupleRow, limit: int) -> None:
    partition_id, before_ms, after_id, missed, kept_ms = change
    # Where the queue is gone, or says again what it said before, there is nothing to do.
    page = [] if kept_ms in (None, before_ms) else await statements.write("retain_page", after_id, limit)
    own = [message_id for message_id, its_partition_id in page if its_partition_id == partition_id]
    if own:
        ((locked,),) = await statements.write("retain_messages", partition_id, own, before_ms, kept_ms)
        missed = missed or locked
    if len(page) == limit:
        await statements.write("retain_advance", partition_id, before_ms, page[-1][0], missed)
    elif missed:
        await statements.write("retain_advance", partition_id, before_ms, 0, False)
    else:
        await statements.write("retain_done", partition_id, before_ms)
