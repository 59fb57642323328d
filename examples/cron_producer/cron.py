"""Sends a message for each tick of a schedule, once, and keeps no state of its own.

A tick's message has the tick in its `dedup_id`. So it does no harm to send it again: each round sends every tick from
a little before now to a little after, those to come with a delay. Two schedulers, or one that was away for less
than `BACK`, send the same messages, and the queue keeps one of each.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqslite import Client

# Less than the queue's dedup_ms, five minutes unless it says otherwise: an older tick might be sent anew.
BACK = timedelta(minutes=4)
AHEAD = timedelta(minutes=1)
ROUND = timedelta(seconds=20)


@dataclass(frozen=True)
class Job:
    """What is sent to which queue, and how often: at all whole multiples of `every` since 1970."""

    name: str
    queue: str
    every: timedelta

    def ticks(self, after: datetime, until: datetime) -> Iterator[datetime]:
        """The ticks later than `after`, up to `until`."""
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        number = (after - epoch) // self.every + 1
        while (tick := epoch + number * self.every) <= until:
            yield tick
            number += 1


JOBS = [
    Job("report", "reports", every=timedelta(minutes=1)),
    Job("clean-up", "housekeeping", every=timedelta(hours=1)),
]


def send_ticks(client: Client, jobs: list[Job], now: datetime) -> int:
    """Send each job's ticks around now; how many of them nobody had sent before."""
    new = 0
    for job in jobs:
        for tick in job.ticks(now - BACK, now + AHEAD):
            sent = client.send(
                job.queue,
                {"job": job.name, "tick": tick.isoformat()},
                dedup_id=f"{job.name}/{tick.isoformat()}",
                delay_ms=max(0, (tick - now) // timedelta(milliseconds=1)),
            )
            new += not sent.duplicate
    return new


def run(client: Client, jobs: list[Job], clock: Callable[[], datetime], sleep: Callable[[float], None]) -> None:
    """Round after round, until it is stopped."""
    while True:
        print(f"{send_ticks(client, jobs, clock())} new", flush=True)
        sleep(ROUND.total_seconds())


if __name__ == "__main__":
    with Client(os.environ.get("SQSLITE_URL", "http://localhost:8080")) as client:
        run(client, JOBS, lambda: datetime.now(UTC), time.sleep)
