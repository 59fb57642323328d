"""A consumer process for tests of many at once: claims, sometimes dawdles or gives up, acks, and writes it all down.

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
GIVEN_UP_SHARE = 0.5


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
            given_up = False
            if random.random() < dawdle_share:
                await asyncio.sleep(visibility_ms / 1_000 * random.uniform(0.8, 1.6))
                # As if it had died: whoever comes next must get these messages.
                given_up = random.random() < GIVEN_UP_SHARE
            receipts = [] if given_up else [delivery.receipt for delivery in deliveries]
            acked = [refusal is None for refusal in await service.ack(receipts)] or [False] * len(deliveries)
            for delivery, was_acked in zip(deliveries, acked, strict=True):
                message = delivery.message
                record = {
                    "id": message.id,
                    "delivery": message.delivery_count,
                    "claimed_at": (message.lease_until - timedelta(milliseconds=visibility_ms)).isoformat(),
                    "lease_until": message.lease_until.isoformat(),
                    "acked": was_acked,
                }
                lines.write(json.dumps(record) + "\n")
    await backend.close()


if __name__ == "__main__":
    _, url, queue, visibility_ms, dawdle_share, out = sys.argv
    asyncio.run(consume(url, queue, int(visibility_ms), float(dawdle_share), Path(out)))
