"""What a caller is told when the storage fails: never a success that was none, never a failure in another's name."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from sqslite.adapters.stores.faulty import Fault, FaultyStore
from sqslite.adapters.stores.intercepted import InterceptedStore
from sqslite.domain.errors import OutcomeUnknown, SqsliteError, StaleReceipt, StoreUnavailable
from sqslite.domain.leases import Nack
from sqslite.domain.limits import ms
from sqslite.domain.messages import Accepted
from sqslite.domain.ports import Extension
from tests.unit.node import Node, Plan, message, node

T = TypeVar("T")

FAULTS = [
    (Fault.REFUSED, StoreUnavailable, False),
    (Fault.UNKNOWN_UNDONE, OutcomeUnknown, False),
    (Fault.UNKNOWN_DONE, OutcomeUnknown, True),
]
faults = pytest.mark.parametrize(("fault", "error", "done"), FAULTS)


class Frail:
    """A node on a storage that fails as planned, and its neighbour on which nothing fails."""

    def __init__(self) -> None:
        self.plan = Plan()
        self.own = node(lambda store: FaultyStore(store, self.plan))
        self.sound = self.own.neighbour()

    def meets(self, *faults_to_come: Fault) -> None:
        self.plan.faults.extend(faults_to_come)


@pytest.fixture
def frail() -> Frail:
    return Frail()


async def held(node_: Node, *queues: str) -> list:
    receipts = []
    for queue in queues:
        await node_.enqueue(queue=queue)
        receipts.append((await node_.claim_one(queue)).receipt)
    return receipts


class GatedStore(InterceptedStore):
    """Does what it is asked and answers only once the gate is open: a commit that takes its time."""

    gate: asyncio.Event

    async def intercept(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        answer = await call()
        await self.gate.wait()
        return answer


async def test_no_enqueue_is_answered_before_the_store_has_answered():
    GatedStore.gate = asyncio.Event()
    own = node(GatedStore)
    enqueuing = asyncio.create_task(own.service.enqueue("orders", [message()]))
    await own.advance(60_000)
    assert not enqueuing.done()
    assert own.observer.enqueued_in == {}
    GatedStore.gate.set()
    assert await enqueuing == [Accepted((await own.messages())[0].id)]
    assert own.observer.enqueued_in == {"orders": 1}


@faults
async def test_an_enqueue_that_failed_is_told_as_such(frail: Frail, fault: Fault, error: type, done: bool):
    frail.meets(fault)
    with pytest.raises(error):
        await frail.own.service.enqueue("orders", [message(b"1"), message(b"2")])
    assert [m.body for m in await frail.own.messages()] == ([b"1", b"2"] if done else [])
    assert frail.own.observer.enqueued_in == {}


@faults
async def test_a_claim_that_failed_is_told_as_such(frail: Frail, fault: Fault, error: type, done: bool):
    await frail.sound.enqueue()
    frail.meets(fault)
    with pytest.raises(error):
        await frail.own.service.claim("orders")
    assert (await frail.own.depth()).in_flight == (1 if done else 0)
    assert frail.own.observer.claimed_from == {}
    # Whatever was leased unseen is delivered again when its lease ends.
    frail.own.shift(30_000)
    assert len(await frail.own.service.claim("orders")) == 1


@pytest.mark.parametrize(
    "then", [[Fault.REFUSED], [Fault.NONE, Fault.UNKNOWN_DONE], [Fault.NONE, Fault.NONE, Fault.REFUSED]]
)
async def test_what_a_claim_has_in_hand_is_handed_out_though_its_second_look_fails(frail: Frail, then: list[Fault]):
    await frail.sound.enqueue(message(b"1"), message(b"2"))
    await frail.sound.claim_one(visibility_ms=1_000)
    frail.own.shift(1_000)
    frail.meets(Fault.NONE, *then)
    assert [d.message.body for d in await frail.own.service.claim("orders")] == [b"2"]


async def test_an_empty_handed_claim_whose_second_look_fails_is_told_so(frail: Frail):
    await frail.sound.enqueue()
    await frail.sound.claim_one(visibility_ms=1_000)
    frail.own.shift(1_000)
    frail.meets(Fault.NONE, Fault.REFUSED)
    with pytest.raises(StoreUnavailable):
        await frail.own.service.claim("orders")


@faults
async def test_an_ack_that_failed_is_no_success_and_its_neighbours_are(
    frail: Frail, fault: Fault, error: type, done: bool
):
    one, two, three = await held(frail.sound, "a", "b", "a")
    frail.meets(Fault.NONE, fault)
    first, failed, third = await frail.own.service.ack([one, two, three])
    assert (first, type(failed), third) == (None, error, None)
    assert [len(await frail.own.messages(queue)) for queue in ("a", "b")] == [0, 0 if done else 1]
    assert len(frail.own.observer.lease_ages_ms) == 2


@faults
async def test_an_ack_without_proof_that_failed_is_told_as_such(frail: Frail, fault: Fault, error: type, done: bool):
    (message_id,) = await frail.sound.enqueue()
    frail.meets(fault)
    (told,) = await frail.own.service.ack_unproven([message_id])
    assert isinstance(told, error)
    assert len(await frail.own.messages()) == (0 if done else 1)


@faults
async def test_an_extension_that_failed_is_no_success_and_its_neighbours_are(
    frail: Frail, fault: Fault, error: type, done: bool
):
    one, two, three = await held(frail.sound, "a", "b", "c")
    until = frail.own.clock.now() + ms(90_000)
    frail.meets(Fault.NONE, fault)
    extensions = [Extension(one, 90_000), Extension(two, 90_000), Extension(three, 0)]
    first, failed, released = await frail.own.service.extend(extensions)
    assert (first, type(failed), released) == (until, error, frail.own.clock.now())
    (kept,) = await frail.own.messages("b")
    assert kept.lease_until == (until if done else frail.own.clock.now() + ms(30_000))


@faults
async def test_a_nack_that_failed_is_no_success_and_its_neighbours_are(
    frail: Frail, fault: Fault, error: type, done: bool
):
    one, two = await held(frail.sound, "a", "b")
    frail.meets(Fault.NONE, fault)
    failed, second = await frail.own.service.nack([Nack(one), Nack(two)])
    assert (type(failed), second) == (error, None)
    assert ((await frail.own.depth("a")).ready, (await frail.own.depth("b")).ready) == (1 if done else 0, 1)


async def test_a_nack_that_somebody_else_settles_first_is_told_as_stale():
    class Overtaken(InterceptedStore):
        async def settle(self, partition_id, settlements):
            assert await other.sweep.settle_due() == 1
            return await self._inner.settle(partition_id, settlements)

    own = node(Overtaken)
    other = own.neighbour()
    (receipt,) = await held(other, "orders")
    own.shift(30_000)
    (refusal,) = await own.service.nack([Nack(receipt)])
    assert isinstance(refusal, StaleReceipt)
    assert (own.observer.requeued_count, other.observer.requeued_count) == (0, 1)


async def test_a_failed_call_changes_nothing_for_the_next_one(frail: Frail):
    frail.meets(Fault.REFUSED, Fault.UNKNOWN_UNDONE)
    for _ in range(2):
        with pytest.raises(SqsliteError):
            await frail.own.service.enqueue("orders", [message()])
    (message_id,) = await frail.own.enqueue()
    receipt = (await frail.own.claim_one()).receipt
    assert receipt.message_id == message_id
    assert await frail.own.service.ack([receipt]) == [None]
