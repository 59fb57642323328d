"""A consumer process for tests of many at once: claims, sometimes dawdles, acks, and writes down all it did.

Run as a program: `consumer.py URL QUEUE VISIBILITY_MS DAWDLE_SHARE OUT`. It ends once the queue has been empty
for a while. Each line it writes is a JSON object: {"id", "delivery", "claimed_at", "lease_until", "acked"}.
"""

import asyncio
import json
import random
import sys
from datetime import timedelta
from pathlib import Path

from sqslite.entrypoints.container import Container
from sqslite.entrypoints.settings import DatabaseUrl, Settings

EMPTY_POLLS_MAX = 25
EMPTY_POLL_PAUSE_S = 0.1
BATCH = 10


async def consume(url: str, queue: str, visibility_ms: int, dawdle_share: float, out: Path) -> None:
    container = Container(settings=Settings(database_url=DatabaseUrl(url), db_pool_size=2))
    backend, service = container.backend(), container.service()
    await backend.open()
    empty_polls = 0
    with out.open("w") as lines:
        while empty_polls < EMPTY_POLLS_MAX:
            deliveries = await service.claim(queue, BATCH, visibility_ms)
            empty_polls = 0 if deliveries else empty_polls + 1
            if not deliveries:
                await asyncio.sleep(EMPTY_POLL_PAUSE_S)
                continue
            if random.random() < dawdle_share:
                await asyncio.sleep(visibility_ms / 1_000 * random.uniform(0.8, 1.6))
            refusals = await service.ack([delivery.receipt for delivery in deliveries])
            for delivery, refusal in zip(deliveries, refusals, strict=True):
                message = delivery.message
                record = {
                    "id": message.id,
                    "delivery": message.delivery_count,
                    "claimed_at": (message.lease_until - timedelta(milliseconds=visibility_ms)).isoformat(),
                    "lease_until": message.lease_until.isoformat(),
                    "acked": refusal is None,
                }
                lines.write(json.dumps(record) + "\n")
    await backend.close()


if __name__ == "__main__":
    _, url, queue, visibility_ms, dawdle_share, out = sys.argv
    asyncio.run(consume(url, queue, int(visibility_ms), float(dawdle_share), Path(out)))
