"""Every row of the table of transitions, made to happen in the store."""

import pytest

from sqslite.domain.leases import Acked
from sqslite.domain.lifecycle import TRANSITIONS, Event, State, Transition, When, state_of
from sqslite.domain.limits import RETENTION_FOREVER, ms
from sqslite.domain.messages import Delivery
from sqslite.domain.ports import Delete, Extension, MoveToDlq, RequeueAt
from sqslite.domain.queues import Queue
from tests.conformance.world import VISIBILITY_MS, World, message

DELAY_MS = 5_000
KEPT_MS = 4_000


class Transitions:
    @pytest.mark.parametrize("row", TRANSITIONS, ids=lambda row: f"{row.state}-{row.event}-{row.when}".rstrip("-"))
    async def test_the_store_makes_every_transition_of_the_table(self, world: World, row: Transition):
        queue, dlq = await world.queue(), await world.queue("dead")
        delivery = await _bring_into(world, queue, row)
        await _make_happen(world, queue, dlq, row, delivery)
        assert await _state(world, dlq if row.to_dlq else queue) is row.target
        assert await _state(world, queue if row.to_dlq else dlq) is State.GONE


async def _bring_into(world: World, queue: Queue, row: Transition) -> Delivery | None:
    if row.state is State.NONE:
        return None
    needs_receipt = row.state is State.LEASED or row.when is When.RECEIPT_CURRENT
    delay_ms = DELAY_MS if row.state is State.DELAYED and not needs_receipt else 0
    outlives = row.event is Event.OUTLIVE or row.when is When.RETENTION_OVER
    retention_ms = KEPT_MS if outlives else RETENTION_FOREVER
    await world.enqueue(queue, message(delay_ms=delay_ms, retention_ms=retention_ms))
    delivery = await world.claim_one(queue) if needs_receipt else None
    if delivery and row.state is not State.LEASED:
        world.advance(VISIBILITY_MS)
        await world.requeue_expired(after_ms=DELAY_MS if row.state is State.DELAYED else 0)
    assert await _state(world, queue) is row.state
    return delivery


async def _make_happen(world: World, queue: Queue, dlq: Queue, row: Transition, delivery: Delivery | None) -> None:
    match row.event:
        case Event.ENQUEUE:
            await world.enqueue(queue, message(delay_ms=DELAY_MS if row.when is When.DELAY else 0))
        case Event.COME_DUE:
            world.advance(DELAY_MS)
        case Event.CLAIM:
            await world.claim_one(queue)
        case Event.ACK:
            assert isinstance((await world.ack(delivery.receipt))[0], Acked)
        case Event.EXTEND:
            extension = Extension(delivery.receipt, 1_000)
            assert await world.store.extend(queue.partition_id, [extension]) == [world.now + ms(1_000)]
        case Event.NACK:
            if row.when is When.RETENTION_OVER:
                world.advance(KEPT_MS)
            (lease,) = (await world.store.held(queue.partition_id, [delivery.receipt])).leases
            await _settle(world, dlq, row, lease)
        case Event.EXPIRE:
            world.advance(VISIBILITY_MS)
            (lease,) = (await world.store.expired(10)).leases
            await _settle(world, dlq, row, lease)
        case Event.OUTLIVE:
            world.advance(KEPT_MS - 1)
            assert await world.store.expire(10) == 0
            world.advance(1)
            assert await world.store.expire(10) == 1


async def _settle(world: World, dlq: Queue, row: Transition, lease) -> None:
    assert await world.store.expire(10) == 0
    settlement = {
        When.RETRY_NOW: RequeueAt(lease, world.now),
        When.RETRY_LATER: RequeueAt(lease, world.now + ms(DELAY_MS)),
        When.USED_UP: MoveToDlq(lease, dlq, world.now, RETENTION_FOREVER),
        When.REJECTED: MoveToDlq(lease, dlq, world.now, RETENTION_FOREVER),
        When.RETENTION_OVER: Delete(lease),
    }[row.when]
    assert await world.store.settle(lease.receipt.partition_id, [settlement]) == [True]


async def _state(world: World, queue: Queue) -> State:
    messages = await world.messages(queue)
    return state_of(messages[0].not_before, messages[0].lease_until, world.now) if messages else State.GONE
