"""What tests of redrives stand on: tasks, steps and dead letters."""

from sqslite.domain.leases import Refusal
from sqslite.domain.limits import RETENTION_FOREVER
from sqslite.domain.messages import Message, NewMessage
from sqslite.domain.ports import Move, MoveToDlq, Position
from sqslite.domain.queues import Queue, QueueSettings
from sqslite.domain.redrive import Redrive, RedriveState
from tests.conformance.world import World

HOLD_MS = 5_000
FIFO = QueueSettings(fifo=True)
RUNNING, COMPLETED, CANCELLED, FAILED = RedriveState


def due(one: Message):
    return one.not_before, one.id


def position_of(one: Message) -> Position:
    return Position(one.not_before, one.id)


def move_to(message_id: int, target: Queue, dlq: str | None = None, retention_ms: int = RETENTION_FOREVER) -> Move:
    return Move(message_id=message_id, target=target, dlq=dlq, retention_ms=retention_ms)


async def begun_task(world: World, queue: Queue) -> Redrive:
    return await world.redrives.create(Redrive(queue=queue.name, partition_id=queue.partition_id, created_at=world.now))


async def taken_task(world: World, queue: Queue) -> Redrive:
    """A new task of the queue, in the hands of a node."""
    await begun_task(world, queue)
    task = await world.redrives.take(HOLD_MS)
    assert task is not None
    return task


async def advanced(world: World, task: Redrive, target: Queue, *candidates: Message) -> int | None:
    moves = [move_to(one.id, target) for one in candidates]
    return await world.redrives.advance(task, moves, position_of(candidates[-1]), HOLD_MS)


async def dead_letters(world: World, queue: Queue, dlq: Queue, *messages: NewMessage) -> list[int]:
    """Ids of messages that were delivered in the queue once and then dead-lettered."""
    ids = await world.enqueue(queue, *messages)
    receipts = [delivery.receipt for delivery in await world.claim(queue)]
    held = await world.store.held(queue.partition_id, receipts)
    moves = [
        MoveToDlq(lease, dlq, world.now, RETENTION_FOREVER) for lease in held.leases if not isinstance(lease, Refusal)
    ]
    assert await world.store.settle(queue.partition_id, moves) == [True] * len(ids)
    return ids
