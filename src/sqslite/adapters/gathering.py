"""Calls of one kind that gather while their like is under way, and then go together."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from typing import Any, Generic, TypeVar

from msgspec import Struct

from sqslite.domain.errors import OutcomeUnknown, Overloaded, SqsliteError
from sqslite.domain.ports import PartitionDropped

A = TypeVar("A")
R = TypeVar("R")

# So many batches of one kind and key at once: while one is being committed, the next is on its way.
LANES = 2
# A further lane is opened for as many calls as this, for a batch costs much and a call in it little.
FURTHER_LANE_CALLS = 32
CALLS_PER_BATCH_MAX = 500
WEIGHT_PER_BATCH_MAX = 4 * 1024 * 1024
CALLS_WAITING_MAX = 4_000


class _Call(Struct, Generic[A, R], eq=False):
    asked: A
    weight: int
    answer: "asyncio.Future[R]"


Together = Callable[[Hashable, Sequence[A]], Awaitable[Sequence[R]]]


class Gathering(Generic[A, R]):
    """Merges concurrent calls of one kind that have the same key.

    A call that finds none of its key under way goes at once, alone if need be: nothing is ever waited for. While a lane
    of its key is busy, calls gather, and the first lane that is free takes all of them, up to a limit, in the order in
    which they came; another lane opens once so many wait that it is worth it. Keys have lanes of their own, so a
    busy queue does not keep another one waiting.

    `together` carries a batch out and gives an answer for each call. Where it raises one of the store's errors, that
    is the answer to every call of the batch, since it holds for all. Where it raises anything else, each call
    is made alone, so that one that is at fault fails alone. `unclaimed` is given the answers of callers that were
    cancelled while theirs was under way; nobody waits for what it does.
    """

    def __init__(
        self,
        together: Together[A, R],
        *,
        lanes: int = LANES,
        unclaimed: Callable[[R], Coroutine[Any, Any, None]] | None = None,
    ) -> None:
        self._together = together
        self._lanes = lanes
        self._unclaimed = unclaimed
        self._waiting: dict[Hashable, deque[_Call[A, R]]] = {}
        self._busy: dict[Hashable, int] = {}
        self._calls_waiting = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def call(self, key: Hashable, asked: A, weight: int) -> R:
        """The answer to this call. Raises Overloaded where it would have to wait and too many do already.

        A caller that is cancelled while it waits is forgotten; while its batch is under way, that goes on without it.
        """
        busy = self._busy.get(key, 0)
        if busy and self._calls_waiting >= CALLS_WAITING_MAX:
            raise Overloaded(f"{self._calls_waiting} calls wait for the store already; try again shortly")
        call: _Call[A, R] = _Call(asked, weight, asyncio.get_running_loop().create_future())
        waiting = self._waiting.setdefault(key, deque())
        waiting.append(call)
        self._calls_waiting += 1
        if not busy or (busy < self._lanes and len(waiting) >= FURTHER_LANE_CALLS):
            self._open_lane(key)
        try:
            return await call.answer
        except asyncio.CancelledError:
            self._forget(key, call)
            raise

    def _forget(self, key: Hashable, call: _Call[A, R]) -> None:
        waiting = self._waiting.get(key, deque())
        if call in waiting:
            waiting.remove(call)
            self._calls_waiting -= 1
        elif call.answer.done() and not call.answer.cancelled() and call.answer.exception() is None:
            # The answer had come, and the cancellation overtook it.
            self._leave(call.answer.result())

    def _leave(self, answer: R) -> None:
        if self._unclaimed is not None:
            self._begin(self._unclaimed(answer))

    def _open_lane(self, key: Hashable) -> None:
        self._busy[key] = self._busy.get(key, 0) + 1
        self._begin(self._lane(key)).add_done_callback(lambda _: self._lane_closed(key))

    def _lane_closed(self, key: Hashable) -> None:
        self._busy[key] -= 1
        if not self._busy[key]:
            del self._busy[key]
        if key in self._waiting:
            # The lane was cut off, or they came when it had seen nobody.
            self._open_lane(key)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    def _next_batch(self, key: Hashable) -> list[_Call[A, R]]:
        waiting = self._waiting.get(key)
        batch: list[_Call[A, R]] = []
        weight = 0
        while waiting and len(batch) < CALLS_PER_BATCH_MAX:
            if batch and weight + waiting[0].weight > WEIGHT_PER_BATCH_MAX:
                break
            call = waiting.popleft()
            self._calls_waiting -= 1
            if not call.answer.cancelled():
                batch.append(call)
                weight += call.weight
        if not waiting:
            self._waiting.pop(key, None)
        return batch

    async def _lane(self, key: Hashable) -> None:
        """Carry batches out for as long as calls wait."""
        while batch := self._next_batch(key):
            try:
                await self._answered(key, batch)
            except BaseException:
                # Nobody waits for ever, not even where the batch itself was cancelled.
                for call in batch:
                    _fail(call, OutcomeUnknown("the call was given up while it was under way"))
                raise

    async def _answered(self, key: Hashable, batch: list[_Call[A, R]]) -> None:
        try:
            answers = await self._together(key, [call.asked for call in batch])
        except (SqsliteError, PartitionDropped) as error:
            for call in batch:
                _fail(call, error)
        except Exception as error:
            if len(batch) == 1:
                _fail(batch[0], error)
                return
            for call in batch:
                await self._answered(key, [call])
        else:
            for call, answer in zip(batch, answers, strict=True):
                if not call.answer.done():
                    call.answer.set_result(answer)
                else:
                    self._leave(answer)


def _fail(call: _Call[A, R], error: Exception) -> None:
    if not call.answer.done():
        call.answer.set_exception(error)
