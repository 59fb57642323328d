"""Calls that are under way at once, as far as they get by themselves."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def turns() -> None:
    """Let everything that can go on go on."""
    for _ in range(20):
        await asyncio.sleep(0)


async def begun(*calls: Coroutine[Any, Any, T]) -> list["asyncio.Task[T]"]:
    tasks = [asyncio.create_task(call) for call in calls]
    await turns()
    return tasks
