"""A consumer process of a FIFO queue: claims, takes its time, acks, nacks or gives up, and writes it all down.

Run as a program: `fifo_consumer.py URL QUEUE OUT`. It may be killed at any instant: each line is on disk before the
next step. It runs until it is ended. Lines are JSON objects: a claim {"claim", "claimed_at", "lease_until", "messages":
[[id, group, number, delivery_count], …]} and, for each message, {"claim", "id", "done": "acked" | "nacked", "at"}.
"""

import asyncio
import json
import os
import random
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path

from sqslite.domain.leases import Nack, Wish
from sqslite.entrypoints.container import Container
from sqslite.entrypoints.settings import DatabaseUrl, Settings

VISIBILITY_MS = 800
BATCH = 5
EMPTY_POLL_PAUSE_S = 0.05
NACK_SHARE = 0.05
GIVE_UP_SHARE = 0.02


async def consume(url: str, queue: str, out: Path) -> None:
    container = Container(settings=Settings(database_url=DatabaseUrl(url), db_pool_size=2))
    backend, service = container.backend(), container.service()
    await backend.open()
    with out.open("a") as lines:

        def write(record: dict) -> None:
            lines.write(json.dumps(record) + "\n")
            lines.flush()
            os.fsync(lines.fileno())

        while True:
            deliveries = await service.claim(queue, random.randint(1, BATCH), VISIBILITY_MS)
            if not deliveries:
                await asyncio.sleep(EMPTY_POLL_PAUSE_S)
                continue
            claim = uuid.uuid4().hex
            until = deliveries[0].message.lease_until
            messages = [d.message for d in deliveries]
            write(
                {
                    "claim": claim,
                    # The claim took place a little before: the database dates it from the start of its transaction,
                    # which may lie before the end of the work that it had to wait for.
                    "claimed_at": datetime.now(UTC).isoformat(),
                    "lease_until": until.isoformat(),
                    "messages": [[m.id, m.group_id, json.loads(m.body), m.delivery_count] for m in messages],
                }
            )
            if random.random() < GIVE_UP_SHARE:
                continue
            for place, delivery in enumerate(deliveries):
                await asyncio.sleep(random.uniform(0, 0.004))
                # Before the call: from now on others may have the group, whatever becomes of this process.
                nack = place == len(deliveries) - 1 and random.random() < NACK_SHARE
                done = {"claim": claim, "id": delivery.message.id, "at": datetime.now(UTC).isoformat()}
                write({**done, "done": "nacked" if nack else "acked"})
                if nack:
                    await service.nack([Nack(delivery.receipt, Wish(delay_ms=random.choice([0, 50])))])
                else:
                    await service.ack([delivery.receipt])


if __name__ == "__main__":
    _, url, queue, out = sys.argv
    asyncio.run(consume(url, queue, Path(out)))
