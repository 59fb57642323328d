"""A worker process that applies effects in a database, each once: for tests that kill it.

Run as a program: `effects_worker.py SERVER_URL DATABASE_URL`. A message is the number of a row in the table `effects`,
which the fence protects: a delivery takes the row with its fence, and what it does then counts only while the fence is
still its own.
"""

import asyncio
import random
import sys

from psycopg_pool import AsyncConnectionPool

from sqslite.entrypoints.worker import Context, Worker

QUEUE = "effects"
VISIBILITY_S = 2
WORK_S_MAX = 0.02

TABLE = "CREATE TABLE effects (n bigint PRIMARY KEY, fence bigint NOT NULL DEFAULT 0, applied int NOT NULL DEFAULT 0)"
TAKE = "UPDATE effects SET fence = %(fence)s WHERE n = %(n)s AND fence < %(fence)s AND applied = 0"
APPLY = "UPDATE effects SET applied = applied + 1 WHERE n = %(n)s AND fence = %(fence)s"
APPLIED = "SELECT applied FROM effects WHERE n = %(n)s"

server_url, database_url = sys.argv[1:] if __name__ == "__main__" else ("http://127.0.0.1:1", "")
worker = Worker(server_url, grace=5)
pool = AsyncConnectionPool(database_url, min_size=1, max_size=4, open=False, kwargs={"autocommit": True})


@worker.task(queue=QUEUE, concurrency=8, visibility=VISIBILITY_S)
async def apply(n: int, context: Context) -> None:
    """Take the row, work a while, and apply the effect if nobody took the row meanwhile."""
    await pool.open()
    row = {"n": n, "fence": context.fence}
    async with pool.connection() as connection:
        if not (await connection.execute(TAKE, row)).rowcount:
            applied = await (await connection.execute(APPLIED, row)).fetchone()
            if applied == (1,):
                return
            raise LookupError("a later delivery has the row")
    await asyncio.sleep(random.uniform(0, WORK_S_MAX))
    async with pool.connection() as connection:
        if not (await connection.execute(APPLY, row)).rowcount:
            raise LookupError("a later delivery took the row")


if __name__ == "__main__":
    worker.run()
