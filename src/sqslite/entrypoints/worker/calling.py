"""A handler is called: its payload read, its middlewares around it, in the loop or in a thread."""

import asyncio
import functools
import inspect
from collections.abc import Sequence
from typing import Any

from sqslite.domain.messages import Received
from sqslite.entrypoints.worker.context import Context
from sqslite.entrypoints.worker.failures import Undecodable
from sqslite.entrypoints.worker.handlers import CallNext, Handler, Middleware
from sqslite.entrypoints.worker.runs import Run
from sqslite.entrypoints.worker.threads import call_in_thread

# What a message failed with; None where it did not.
Failure = BaseException | None


async def called(handler: Handler, run: Run, middlewares: Sequence[Middleware]) -> list[Failure]:
    """Call the handler; what each message of the run failed with. What it raises holds for all of them."""
    failures: list[Failure] = [None] * len(run.holds)
    contexts = [hold.context for hold in run.holds]

    async def one(received: Received) -> Any:
        return await _invoked(handler, [handler.read(received)], contexts, run)

    async def batch(received: Sequence[Received]) -> Any:
        sound: dict[int, Any] = {}
        for index, each in enumerate(received):
            try:
                sound[index] = handler.read(each)
            except Undecodable as fault:
                failures[index] = fault
        if not sound:
            return None
        result = await _invoked(handler, [*sound.values()], [contexts[index] for index in sound], run)
        for index, failure in zip(sound, _failures(result, len(sound)), strict=True):
            failures[index] = failure
        return result

    received = [hold.received for hold in run.holds]
    call_next: CallNext = batch if handler.batch else one
    for middleware in reversed(middlewares):
        call_next = _around(middleware, call_next)
    await call_next(received if handler.batch else received[0])
    return failures


def _around(middleware: Middleware, call_next: CallNext) -> CallNext:
    return lambda received: middleware(received, call_next)


async def _invoked(handler: Handler, values: Sequence[Any], contexts: Sequence[Context], run: Run) -> Any:
    if handler.in_thread:
        name = f"sqslite {contexts[0].queue} {contexts[0].id}"
        run.thread = call_in_thread(functools.partial(handler.call, values, contexts), name)
        # Cancelled, this stops waiting; the thread goes on.
        result = await asyncio.shield(run.thread)
    else:
        result = handler.call(values, contexts)
    return await result if inspect.isawaitable(result) else result


def _failures(result: Any, count: int) -> list[Failure]:
    """A batch's handler may return a list with an exception for each message that failed, as gather() gives it."""
    if isinstance(result, list) and len(result) == count:
        return [each if isinstance(each, BaseException) else None for each in result]
    return [None] * count
