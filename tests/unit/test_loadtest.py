"""The load test: what it counts, and that it finds each kind of fault that it looks for, and no other."""

import asyncio
import random

import pytest
from msgspec.structs import replace

from sqslite.domain.errors import InvalidValue, OutcomeUnknown, Overloaded, QueueNotFound
from sqslite.domain.limits import ms
from sqslite.domain.queues import QueueSettings
from sqslite.entrypoints.loadtest.lanes import Lanes
from sqslite.entrypoints.loadtest.latencies import INTERVALS_MAX, Histogram, Measures
from sqslite.entrypoints.loadtest.result import Verdict
from sqslite.entrypoints.loadtest.run import Moment
from tests.unit.loadtests import Between, carried_out, finished, loading, node_with, plan
from tests.unit.node import message


async def test_all_that_was_accepted_is_acked_once():
    result = await carried_out(node_with(), plan(messages=200, batch=7, body_bytes_min=64, body_bytes_max=500))
    assert result.verdict is Verdict.KEPT
    assert (result.sent, result.accepted, result.deliveries, result.acked) == (200, 200, 200, 200)
    assert (result.check.missing, result.check.left, result.errors) == (0, 0, {})
    assert result.dwell_ms.count == 200


async def test_a_steady_rate_sends_what_it_says():
    result = await carried_out(node_with(), plan(messages=1_000, rate=20, seconds=5))
    assert (result.accepted, result.load_s, result.missed) == (100, 4.95, 0)
    assert [point.enqueued_per_second for point in result.points[:5]] == [20] * 5


class Slow(Between):
    """Answers an enqueue after 100 ms."""

    async def enqueue(self, queue, messages):
        await self.node.clock.sleep_until(self.node.clock.now() + ms(100))
        return await super().enqueue(queue, messages)


async def test_in_a_closed_loop_each_producer_waits_for_its_answer():
    result = await carried_out(node_with(), plan(messages=1_000, seconds=1, producers=3), Slow)
    assert result.accepted == 30
    assert result.enqueue_ms.max == 100


class Stalling(Between):
    """Does not answer the first enqueue for five seconds, and all others at once."""

    stalled = False

    async def enqueue(self, queue, messages):
        if not self.stalled:
            self.stalled = True
            await self.node.clock.sleep_until(self.node.clock.now() + ms(5_000))
        return await super().enqueue(queue, messages)


async def test_what_waits_for_a_stalled_server_counts_from_when_it_was_due():
    result = await carried_out(node_with(), plan(messages=1_000, rate=10, seconds=10, producers=1), Stalling)
    assert (result.accepted, result.missed) == (100, 0)
    # Fifty were due while it stalled, one each 100 ms.
    assert result.enqueue_ms.max == 5_000
    assert result.enqueue_ms.p90 == pytest.approx(4_000, rel=0.03)


async def test_what_a_rate_asked_for_and_nobody_was_free_to_send_is_told():
    result = await carried_out(node_with(), plan(messages=1_000, rate=100, seconds=2, producers=1), Slow)
    assert result.accepted == 20
    assert result.missed == 180


@pytest.mark.parametrize("groups", [0, 20])
async def test_what_a_consumer_that_crashes_held_comes_again(groups):
    asked = plan(messages=200, crash_rate=0.3, visibility_ms=1_000, batch=3, groups=groups)
    result = await carried_out(node_with(), asked)
    assert result.verdict is Verdict.KEPT
    assert result.redelivered_after_crash == result.crashes > 50
    assert (result.acked, result.redelivered_after_lease) == (200, 0)


async def test_work_that_outlasts_its_lease_is_no_double():
    class Erratic(Between):
        """Every third ack comes too late."""

        acks = 0

        async def ack(self, receipts):
            self.acks += 1
            if self.acks % 3 == 0:
                await self.node.clock.sleep_until(self.node.clock.now() + ms(3_000))
            return await super().ack(receipts)

    result = await carried_out(node_with(), plan(visibility_ms=1_000), Erratic)
    assert result.verdict is Verdict.KEPT
    assert result.redelivered_after_lease > 0
    assert set(result.errors["ack"]) <= {"stale_receipt", "message_not_found"}


class Forgetful(Between):
    """Loses every tenth message that it accepts."""

    async def enqueue(self, queue, messages):
        results = await super().enqueue(queue, messages)
        lost = [result.id for result in results if result.id % 10 == 0]
        if lost:
            await self.node.service.ack_unproven(lost)
        return results


async def test_messages_that_were_accepted_and_never_came_are_lost():
    result = await carried_out(node_with(), plan(), Forgetful)
    assert result.verdict is Verdict.BROKEN
    assert (result.check.lost, result.check.missing, result.acked) == (6, 6, 54)
    assert "was accepted, and never came" in result.check.examples[0]


class Careless(Between):
    """Deletes what it delivers: what crashes is gone."""

    async def claim(self, *arguments):
        deliveries = await super().claim(*arguments)
        await self.node.service.ack([delivery.receipt for delivery in deliveries])
        return deliveries


async def test_messages_that_do_not_come_back_after_a_crash_are_lost():
    result = await carried_out(node_with(), plan(crash_rate=1, messages=5), Careless)
    assert result.check.lost == 5
    assert "was delivered, not acked, and never came back" in result.check.examples[0]


async def test_a_message_that_comes_again_while_it_is_held_is_doubled():
    result = await carried_out(node_with(duplicate_delivery=0.3), plan(work_ms=200))
    assert result.verdict is Verdict.BROKEN
    assert result.check.doubled >= 5
    assert "before its lease was over" in result.check.examples[0]
    assert result.check.lost == 0


async def test_a_message_that_comes_again_after_its_ack_is_doubled():
    class Deaf(Between):
        """Answers that it acked, and does not; after a while it does."""

        acks = 0

        async def ack(self, receipts):
            self.acks += 1
            return [None] * len(receipts) if self.acks <= 5 else await super().ack(receipts)

    result = await carried_out(node_with(), plan(messages=20, visibility_ms=1_000), Deaf)
    assert (result.check.doubled, result.check.lost) == (5, 0)
    assert "was delivered again after its ack" in result.check.examples[0]


async def test_a_delivery_that_two_receivers_get_is_doubled():
    class Echoing(Between):
        before = ()

        async def claim(self, *arguments):
            if self.before:
                again, self.before = self.before, ()
                return again
            self.before = deliveries = await super().claim(*arguments)
            return deliveries

    result = await carried_out(node_with(), plan(messages=10, consumers=2, work_ms=500), Echoing)
    assert result.check.doubled == 10
    assert "handed out twice" in result.check.examples[0]


async def test_an_answer_that_was_overtaken_by_a_later_delivery_is_no_double():
    class Delayed(Between):
        """Holds the first answer until its messages were delivered again, and acked."""

        delayed = False

        async def claim(self, *arguments):
            deliveries = await super().claim(*arguments)
            if deliveries and not self.delayed:
                self.delayed = True
                await self.node.clock.sleep_until(self.node.clock.now() + ms(5_000))
            return deliveries

    result = await carried_out(node_with(), plan(visibility_ms=1_000, messages=20), Delayed)
    assert result.verdict is Verdict.KEPT
    assert result.deliveries == 21


async def test_a_body_that_comes_back_changed_is_found():
    class Garbling(Between):
        async def claim(self, *arguments):
            deliveries = await super().claim(*arguments)
            return [
                replace(one, message=replace(one.message, body=one.message.body.replace(b"a", b"b", 2)))
                for one in deliveries
            ]

    result = await carried_out(node_with(), plan(), Garbling)
    assert (result.verdict, result.check.altered) == (Verdict.BROKEN, 60)


async def test_messages_of_a_group_that_come_in_another_order_are_found():
    class Shuffling(Between):
        async def claim(self, *arguments):
            return list(reversed(await super().claim(*arguments)))

    result = await carried_out(node_with(), plan(groups=1, producers=1, batch=5), Shuffling)
    assert result.verdict is Verdict.BROKEN
    assert result.check.disordered == 48
    assert (result.check.lost, result.check.doubled) == (0, 0)


async def test_a_message_that_came_though_it_had_been_refused_is_found():
    class Lying(Between):
        async def enqueue(self, queue, messages):
            await super().enqueue(queue, messages)
            raise Overloaded("nothing was done, it says")

    result = await carried_out(node_with(), plan(messages=8), Lying)
    assert (result.verdict, result.check.refused_delivered) == (Verdict.BROKEN, 8)


async def test_refusals_and_unknown_outcomes_are_counted_apart_and_prove_nothing():
    on = node_with(seed=3, refused=0.1, lost_request=0.1, lost_response=0.1)
    result = await carried_out(on, plan(messages=300, visibility_ms=1_000))
    assert result.verdict is Verdict.KEPT
    assert result.accepted + result.refused + result.unknown == result.sent == 300
    assert 0 < result.unknown_delivered < result.unknown
    assert result.errors["enqueue"] == {"store_unavailable": result.refused, "outcome_unknown": result.unknown}
    assert result.ack_unknown > 0
    assert (result.check.lost, result.check.doubled) == (0, 0)


async def test_what_is_still_in_the_queue_when_the_time_is_up_is_not_lost():
    on = node_with()
    await on.administration.put("load", QueueSettings())
    await on.administration.pause("load")
    result = await carried_out(on, plan(drain_s=5))
    assert (result.verdict, result.check.lost, result.check.left) == (Verdict.INCOMPLETE, 0, 60)
    assert 5 <= result.drain_s < 6


async def test_where_nothing_was_accepted_nothing_is_proven():
    class Refusing(Between):
        async def enqueue(self, queue, messages):
            raise Overloaded("too much")

    result = await carried_out(node_with(), plan(messages=3), Refusing)
    assert (result.verdict, result.refused) == (Verdict.INCOMPLETE, 3)


async def test_where_nobody_can_look_at_the_queue_nothing_is_called_lost():
    on = node_with()

    class Hidden(Forgetful):
        def __init__(self, node):
            super().__init__(node)
            node.inspection.stats = self.stats

        async def stats(self, name):
            raise OutcomeUnknown("no answer")

    result = await carried_out(on, plan(drain_s=2), Hidden)
    assert (result.verdict, result.check.left, result.check.missing) == (Verdict.INCOMPLETE, None, 6)


@pytest.mark.parametrize(("keep", "there"), [(False, False), (True, True)])
async def test_its_own_queue_is_deleted_unless_it_shall_be_kept(keep, there):
    on = node_with()
    result = await carried_out(on, plan(keep=keep))
    assert result.queue_deleted is not there
    if there:
        assert (await on.administration.get("load")).name == "load"
    else:
        with pytest.raises(QueueNotFound):
            await on.administration.get("load")


async def test_a_queue_that_was_there_stays_as_it_is():
    on = node_with()
    await on.administration.put("load", QueueSettings(delay_ms=1_000))
    result = await carried_out(on, plan(keep=False))
    assert (result.verdict, result.queue_deleted) == (Verdict.KEPT, False)
    assert (await on.administration.get("load")).settings == QueueSettings(delay_ms=1_000)


@pytest.mark.parametrize(
    ("settings", "messages", "reason"),
    [
        (QueueSettings(fifo=True), 0, "no FIFO queue"),
        (QueueSettings(dlq="failed"), 0, "without a dead-letter queue"),
        (QueueSettings(), 1, "an empty queue"),
    ],
)
async def test_a_queue_that_is_not_fit_is_left_alone(settings, messages, reason):
    on = node_with()
    await on.administration.put("load", settings)
    await on.service.enqueue("load", [message()] * messages)
    with pytest.raises(InvalidValue, match=reason):
        await carried_out(on, plan())


async def test_messages_of_others_are_left_alone():
    class Shared(Between):
        """Somebody else sends, too: twice of another run, once of this run what it never sent."""

        foreign = (b'{"n":1}', b'{"run":"other","n":1,"text":"a"}', b'{"run":"r","n":999999,"text":"a"}')

        async def enqueue(self, queue, messages):
            others, self.foreign = self.foreign, ()
            await self.node.service.enqueue(queue, [message(body) for body in others])
            return await super().enqueue(queue, messages)

    on = node_with()
    result = await carried_out(on, plan(drain_s=1), Shared)
    assert (result.foreign, result.acked, result.check.missing) == (3, 60, 0)
    assert result.verdict is Verdict.KEPT
    assert len(await on.messages("load")) == 3


async def test_told_to_stop_it_sends_no_more_and_drains():
    on = node_with()
    test = loading(on, plan(messages=1_000, rate=10, seconds=60, work_ms=2_000, consumers=1, batch=10))
    running = test.run()

    def stop(moment: Moment) -> None:
        if moment.at_s == 3:
            test.stop()

    test._show = stop
    result = await finished(on, running)
    assert result.stopped_early
    assert (result.verdict, result.accepted) == (Verdict.KEPT, 40)


async def test_told_twice_it_does_not_wait_for_the_rest():
    on = node_with()
    await on.administration.put("load", QueueSettings())
    await on.administration.pause("load")
    test = loading(on, plan())

    def stop(moment: Moment) -> None:
        if moment.at_s == 3:
            test.stop()
            test.stop()

    test._show = stop
    result = await finished(on, test.run())
    assert result.drain_s < 5
    assert result.check.left == 60


async def test_each_second_it_shows_how_it_stands():
    shown: list[Moment] = []
    await carried_out(node_with(), plan(messages=1_000, rate=10, seconds=3, work_ms=1_200), show=shown.append)
    assert [moment.at_s for moment in shown[:3]] == [1, 2, 3]
    assert [moment.accepted for moment in shown[:2]] == [10, 20]
    assert (shown[0].draining, shown[-1].draining) == (False, True)
    assert 0 < shown[2].acked < 30
    assert shown[2].unsettled == shown[2].accepted - shown[2].acked


async def test_the_same_seed_crashes_the_same_deliveries():
    asked = plan(crash_rate=0.5, visibility_ms=1_000, body_bytes_max=2_000)
    first, second = [await carried_out(node_with(), asked) for _ in range(2)]
    assert first == second
    assert (await carried_out(node_with(), replace(asked, seed=2))).crashes != first.crashes


def test_percentiles_are_right_to_one_per_cent():
    chance = random.Random(7)
    latencies = sorted(chance.lognormvariate(1, 2) for _ in range(5_000))
    measured = Histogram()
    for latency in latencies:
        measured.record(latency)
    for percent in (1, 50, 90, 99, 99.9):
        assert measured.percentile(percent) == pytest.approx(latencies[int(5_000 * percent / 100) - 1], rel=0.011)
    assert measured.max_ms == latencies[-1]
    assert Histogram().percentile(50) is None


def test_a_long_test_keeps_coarser_intervals_and_forgets_nothing():
    measures = Measures()
    seconds = 5 * INTERVALS_MAX
    for second in range(seconds):
        measures.enqueued(second, 1.0, 2)
    assert measures.interval_s == 8
    assert len(measures.intervals) == seconds / 8
    assert {interval.enqueued for interval in measures.intervals} == {16}
    assert sum(interval.enqueue.count for interval in measures.intervals) == seconds


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"queue": "a/b"}, "queue must be"),
        ({"rate": 0}, "rate must be 0.001 to 1000000; got 0"),
        ({"seconds": 0}, "seconds must be"),
        ({"messages": 0}, "messages must be 1 to 20000000; got 0"),
        ({"producers": 1_001}, "producers must be 1 to 1000; got 1001"),
        ({"consumers": 0}, "consumers must be"),
        ({"batch": 1_001}, "batch must be"),
        ({"body_bytes_min": 63}, "body_bytes must be 64 to"),
        ({"body_bytes_max": 100}, "body_bytes must be 200 to"),
        ({"crash_rate": 1.1}, "crash_rate must be 0 to 1; got 1.1"),
        ({"groups": 7}, r"groups must be 0, or at least as many as producers \(8\); got 7"),
        ({"rate": float("nan")}, "rate must be"),
    ],
)
def test_a_plan_names_what_is_outside_its_limits(fields, reason):
    with pytest.raises(InvalidValue, match=reason):
        plan(**fields)


def test_no_latency_is_too_short_to_count():
    measured = Histogram()
    measured.record(0.0)
    assert (measured.count, measured.percentile(50)) == (1, 0.0)


async def test_each_call_at_once_has_a_connection_of_its_own():
    class Way:
        under_way = most = calls = 0

        async def open(self):
            pass

        async def close(self):
            pass

        async def ask(self, call):
            self.under_way += 1
            self.calls += 1
            self.most = max(self.most, self.under_way)
            await asyncio.sleep(0)
            self.under_way -= 1
            return call

    ways = [Way() for _ in range(3)]
    lanes = Lanes(ways)
    for _ in range(2):
        assert await asyncio.gather(*(lanes.ask(call) for call in "abc")) == ["a", "b", "c"]
    assert [(way.most, way.calls) for way in ways] == [(1, 2)] * 3
