"""What is foretold of a queue's messages, and how deliveries are parted."""

import pytest

from sqslite.domain.messages import Delivery
from sqslite.entrypoints.grpc import sizes
from sqslite.entrypoints.grpc.sizes import BodySizes, parts
from tests.unit.node import message, node


async def deliveries(*body_bytes: int, **fields: object) -> list[Delivery]:
    own = node()
    await own.enqueue(*(message(b"1" * count, **fields) for count in body_bytes))
    return await own.service.claim("orders", len(body_bytes))


def lengths(parted: list[list[Delivery]]) -> list[list[int]]:
    return [[len(delivery.message.body) for delivery in part] for part in parted]


def test_of_a_queue_that_gave_nothing_yet_all_messages_are_taken_for_small():
    assert BodySizes().fitting("orders", 1_000) == 1_000


async def test_as_many_fit_as_are_like_the_largest_of_those_before_and_one_at_least():
    seen = BodySizes()
    seen.seen("orders", await deliveries(10, 200, 30))
    assert [seen.fitting("orders", bytes_max) for bytes_max in (1_000, 200, 199)] == [5, 1, 1]
    assert seen.fitting("other", 1_000) == 1_000


async def test_what_was_large_counts_for_less_with_every_claim_of_smaller_ones():
    seen = BodySizes()
    seen.seen("orders", await deliveries(1_000))
    small = await deliveries(10)
    fitting = []
    for _ in range(4):
        seen.seen("orders", small)
        fitting.append(seen.fitting("orders", 6_000))
    assert fitting == [8, 10, 14, 19]


async def test_no_more_queues_are_remembered_than_a_thousand(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sizes, "QUEUES_MAX", 2)
    seen, large = BodySizes(), await deliveries(500)
    for queue in ("a", "b", "a", "c"):
        seen.seen(queue, large)
    assert [seen.fitting(queue, 1_000) for queue in ("a", "b", "c")] == [2, 1_000, 2]


async def test_parts_are_no_larger_than_asked_but_for_a_larger_message_alone():
    assert lengths(list(parts(await deliveries(40, 60, 1, 300, 50, 50), 100))) == [[40, 60], [1], [300], [50, 50]]
    assert list(parts([], 100)) == []


async def test_attributes_count_like_bodies():
    assert lengths(list(parts(await deliveries(40, 40, attributes={"name": "v" * 20}), 100))) == [[40], [40]]
