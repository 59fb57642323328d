"""The worker: packs each order once, though its message may be delivered twice."""

import os
from typing import TypedDict

from psycopg_pool import AsyncConnectionPool

from sqslite import Context, Worker

# A later delivery of the message has a larger fence. A worker that was frozen meanwhile finds it there, and changes
# nothing.
PACK = """
UPDATE orders SET parcel = %(parcel)s, fence = %(fence)s
WHERE id = %(order)s AND parcel IS NULL AND fence < %(fence)s
"""

worker = Worker(os.environ.get("SQSLITE_URL", "http://localhost:8080"))
pool = AsyncConnectionPool(os.environ["DATABASE_URL"], min_size=1, open=False)


class Parcel(TypedDict):
    """The message: which order is to be packed."""

    order: int


@worker.task(queue="parcels")
async def pack(parcel: Parcel, context: Context) -> None:
    """Pack the order, unless that was done."""
    await pool.open()
    row = {"order": parcel["order"], "fence": context.fence, "parcel": f"parcel-{parcel['order']}"}
    async with pool.connection() as connection:
        packed = await connection.execute(PACK, row)
    if packed.rowcount:
        print(f"order {parcel['order']} is packed", flush=True)


if __name__ == "__main__":
    worker.run()
