"""Renders clips, which takes longer than a lease: heartbeats keep it for as long as this process lives."""

import asyncio
import os
from typing import TypedDict

from sqslite import Context, Worker

worker = Worker(os.environ.get("SQSLITE_URL", "http://localhost:8080"))


class Clip(TypedDict):
    """What to render: ten frames take a second."""

    name: str
    frames: int


# Not how long the work takes, but how soon others get it when this process dies.
@worker.task(queue="clips", concurrency=1, visibility=2)
async def render(clip: Clip, context: Context) -> None:
    """Render the clip, whoever began it before."""
    print(f"{clip['name']}: begun, delivery {context.delivery_count}, process {os.getpid()}", flush=True)
    for _ in range(clip["frames"]):
        await asyncio.sleep(0.1)
    print(f"{clip['name']}: done", flush=True)


if __name__ == "__main__":
    worker.run()
