"""What a queue accepts: the limits of ids, attributes and retention, what the queue decides, and duplicates."""

import pytest

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.stores.faulty import Fault, FaultyStore
from sqslite.domain import limits
from sqslite.domain.accepting import check_for_queue, check_message, resolved
from sqslite.domain.errors import BodyTooLarge, InvalidValue, SqsliteError
from sqslite.domain.messages import Accepted, BodyKind, NewMessage
from sqslite.domain.queues import Defaults, Queue, QueueSettings
from tests.unit.node import Node, NotedWakeups, Plan, message, node

DEFAULTS = Defaults()
FOREVER = Defaults(retention_forever=True)
ONLY_FOREVER = "(0, for ever, only where the operator sets RETENTION_FOREVER=on)"

BAD = [
    ("group_id", message(group_id="")),
    ("group_id", message(group_id="g" * 129)),
    ("group_id", message(group_id="a\nb")),
    ("group_id", message(group_id="\ud800")),
    ("dedup_id", message(dedup_id="")),
    ("dedup_id", message(dedup_id="d" * 129)),
    ("dedup_id", message(dedup_id="a\0")),
    ("retention_ms", message(retention_ms=-1)),
    ("retention_ms", message(retention_ms=0)),
    ("retention_ms", message(retention_ms=limits.RETENTION_MS_MAX + 1)),
    ("attributes", message(attributes={str(n): "" for n in range(51)})),
    ("attributes", message(attributes={"": "x"})),
    ("attributes", message(attributes={"n" * 257: "x"})),
    ("attributes", message(attributes={"a\n": "x"})),
    ("attributes.a", message(attributes={"a": "x\0"})),
    ("attributes.a", message(attributes={"a": "\udfff"})),
]
GOOD = [
    message(group_id="g" * 128, dedup_id="d" * 128),
    message(group_id="naïve ☃ 😀", dedup_id="-"),
    message(retention_ms=1),
    message(retention_ms=limits.RETENTION_MS_MAX),
    message(attributes={str(n): "" for n in range(50)}),
    message(attributes={"n" * 256: "two\nlines\t☃"}),
]


def queue(**settings: object) -> Queue:
    now = VirtualClock().now()
    return Queue(name="orders", partition_id=1, settings=QueueSettings(**settings), created_at=now, changed_at=now)


@pytest.fixture
def own() -> Node:
    return node()


# Limits


@pytest.mark.parametrize(("field", "bad"), BAD)
def test_what_is_out_of_its_limits_is_refused_by_the_name_of_its_field(field: str, bad: NewMessage):
    with pytest.raises(InvalidValue) as refusal:
        check_message("orders", bad, DEFAULTS)
    assert refusal.value.field == field
    assert str(refusal.value).startswith(f"{field} must be ")


@pytest.mark.parametrize("good", GOOD)
async def test_what_is_at_its_limits_is_taken_and_kept_as_it_is(own: Node, good: NewMessage):
    (message_id,) = await own.enqueue(good)
    (kept,) = await own.messages()
    assert (kept.id, kept.group_id, kept.attributes) == (message_id, good.group_id, good.attributes)
    assert (await own.claim_one()).message.attributes == good.attributes


async def test_each_bad_message_fails_alone(own: Node):
    sent = [GOOD[0], BAD[0][1], GOOD[1], BAD[7][1], GOOD[4], BAD[10][1]]
    outcomes = await own.service.enqueue("orders", sent)
    assert [isinstance(outcome, Accepted) for outcome in outcomes] == [True, False] * 3
    assert [kept.id for kept in await own.messages()] == [outcome.id for outcome in outcomes[::2]]


# Size


@pytest.mark.parametrize(
    ("body", "attributes", "size"),
    [
        (b"1" * 11, {}, 11),
        (b"1" * 10, {"a": ""}, 11),
        (b"1" * 5, {"ab": "cd", "e": "f"}, 11),
        (b"1", {"é": "☃", "ab": "cd", "x": ""}, 11),
    ],
)
def test_attributes_count_in_the_size_in_bytes_names_and_values(body: bytes, attributes: dict[str, str], size: int):
    sent = message(body, attributes=attributes)
    check_message("orders", sent, Defaults(body_bytes_max=size))
    with pytest.raises(BodyTooLarge) as refusal:
        check_message("orders", sent, Defaults(body_bytes_max=size - 1))
    assert str(refusal.value) == f"body must be at most {size - 1} bytes, attributes included; got {size} bytes"


def test_a_queues_own_size_counts_attributes_too_and_cannot_go_beyond_the_services():
    sent = message(b"123", attributes={"a": "b"})
    check_for_queue(queue(body_bytes_max=5), sent)
    with pytest.raises(BodyTooLarge, match="at most 4 bytes, attributes included; got 5 bytes"):
        check_for_queue(queue(body_bytes_max=4), sent)
    with pytest.raises(BodyTooLarge, match="at most 4 bytes"):
        check_message("orders", sent, Defaults(body_bytes_max=4))


def test_a_name_that_no_utf_8_can_hold_is_refused_and_not_a_crash():
    with pytest.raises(InvalidValue):
        check_message("orders", message(attributes={"\ud800": "\ud800"}), DEFAULTS)


# Groups


@pytest.mark.parametrize("kind", [{}, {"fair": True}])
async def test_only_a_fifo_queue_needs_a_group(own: Node, kind: dict[str, bool]):
    await own.create("orders", **kind)
    assert len(await own.enqueue(message(), message(group_id="a"))) == 2


async def test_a_fifo_queue_refuses_a_message_without_a_group_alone(own: Node):
    await own.create("orders", fifo=True)
    refused, kept = await own.service.enqueue("orders", [message(), message(group_id="a")])
    assert str(refused) == "group_id must be given for each message of orders, which is a FIFO queue; got null"
    assert isinstance(kept, Accepted)
    assert own.observer.enqueued_in == {"orders": 1}


# Retention


@pytest.mark.parametrize(
    ("asked_ms", "defaults", "text"),
    [
        (0, DEFAULTS, f"retention_ms must be 1 to 1209600000 {ONLY_FOREVER}; got 0"),
        (-1, DEFAULTS, f"retention_ms must be 1 to 1209600000 {ONLY_FOREVER}; got -1"),
        (1_209_600_001, DEFAULTS, f"retention_ms must be 1 to 1209600000 {ONLY_FOREVER}; got 1209600001"),
        (1_209_600_001, FOREVER, "retention_ms must be 0 to 1209600000; got 1209600001"),
        (-1, FOREVER, "retention_ms must be 0 to 1209600000; got -1"),
    ],
)
async def test_a_retention_out_of_range_is_refused_with_what_is_allowed(asked_ms: int, defaults: Defaults, text: str):
    own = node(defaults=defaults)
    (refused,) = await own.service.enqueue("orders", [message(retention_ms=asked_ms)])
    assert str(refused) == text
    with pytest.raises(InvalidValue) as refusal:
        await own.administration.put("orders", QueueSettings(retention_ms=asked_ms))
    assert str(refusal.value) == text


async def test_where_the_operator_allows_it_a_message_is_kept_for_ever():
    own = node(defaults=FOREVER)
    await own.administration.put("always", QueueSettings(retention_ms=0))
    await own.enqueue(message(), message(retention_ms=1_000), queue="always")
    await own.enqueue(message(retention_ms=0), message())
    ever, short = await own.messages("always")
    assert (ever.expires_at, short.expires_at) == (None, own.clock.now() + limits.ms(1_000))
    ever, usual = await own.messages()
    assert (ever.expires_at, usual.expires_at) == (None, own.clock.now() + limits.ms(limits.RETENTION_MS_DEFAULT))


@pytest.mark.parametrize(
    ("settings", "asked_ms", "kept_ms"),
    [
        ({}, None, 4 * limits.DAY_MS),
        ({}, 7, 7),
        ({"retention_ms": 9}, None, 9),
        ({"retention_ms": 9}, 7, 7),
        ({"retention_ms": 0}, None, 0),
        ({"retention_ms": 0}, 7, 7),
        ({"retention_ms": 9}, 0, 0),
    ],
)
def test_a_messages_retention_is_its_own_then_the_queues_then_four_days(
    settings: dict[str, int], asked_ms: int | None, kept_ms: int
):
    assert resolved(queue(**settings), message(retention_ms=asked_ms), FOREVER).retention_ms == kept_ms


@pytest.mark.parametrize("delivered", [True, False])
async def test_a_message_is_not_delivered_from_the_end_of_its_retention_on(own: Node, delivered: bool):
    await own.enqueue(message(retention_ms=1_000))
    if delivered:
        await own.claim_one(visibility_ms=500)
    own.shift(999)
    assert len(await own.service.claim("orders", visibility_ms=1)) == 1
    own.shift(1)
    assert await own.service.claim("orders") == []


# What the queue decides


def test_what_a_message_leaves_open_its_queue_decides_and_then_the_service():
    # How often it is tried, and what becomes of it then, is decided whenever a lease ends.
    bare = resolved(queue(), message(), Defaults(max_retries=4))
    assert (bare.delay_ms, bare.max_retries, bare.dlq) == (0, 0, None)
    decided = resolved(queue(delay_ms=5, max_retries=3, dlq="dead"), message(), Defaults(max_retries=4))
    assert (decided.delay_ms, decided.max_retries, decided.dlq) == (5, 0, None)
    own = message(
        delay_ms=0, max_retries=8, dlq="graveyard", trace_id="t", group_id="g", dedup_id="d", attributes={"a": "b"}
    )
    kept = resolved(queue(delay_ms=5, max_retries=3, dlq="dead"), own, Defaults(max_retries=4))
    assert (kept.delay_ms, kept.max_retries, kept.dlq) == (0, 8, "graveyard")
    assert (kept.trace_id, kept.group_id, kept.dedup_id, kept.attributes) == ("t", "g", "d", {"a": "b"})
    assert (kept.body, kept.body_kind) == (own.body, BodyKind.JSON)


# Duplicates


def test_a_queue_may_take_the_sha_256_of_a_body_alone_for_the_dedup_id():
    by_content = queue(dedup_by_content=True)
    one = resolved(by_content, message(b"hello", attributes={"a": "b"}), Defaults())
    assert one.dedup_id == "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    assert resolved(by_content, message(b"hello", group_id="g"), Defaults()).dedup_id == one.dedup_id
    assert resolved(by_content, message(b"hello "), Defaults()).dedup_id != one.dedup_id
    assert resolved(by_content, message(b"hello", dedup_id="own"), Defaults()).dedup_id == "own"
    assert resolved(queue(), message(b"hello"), Defaults()).dedup_id is None


async def test_a_duplicate_is_answered_with_the_first_ones_id_and_counted_nowhere(own: Node):
    (first,) = await own.service.enqueue("orders", [message(b"1", dedup_id="d")])
    again, fresh = await own.service.enqueue("orders", [message(b"2", dedup_id="d"), message(b"3", dedup_id="e")])
    assert first == Accepted(first.id)
    assert again == Accepted(first.id, duplicate=True)
    assert not fresh.duplicate
    assert [m.body for m in await own.messages()] == [b"1", b"3"]
    assert own.observer.enqueued_in == {"orders": 2}
    assert (await own.inspection.stats("orders"))[1].enqueued == 2


async def test_duplicates_within_a_call_and_bad_messages_between_them_are_answered_in_order(own: Node):
    sent = [message(b"1", dedup_id="d"), message(b"null", dedup_id="d"), message(b"2"), message(b"3", dedup_id="d")]
    first, refused, plain, again = await own.service.enqueue("orders", sent)
    assert isinstance(refused, SqsliteError)
    assert again == Accepted(first.id, duplicate=True)
    assert [m.id for m in await own.messages()] == [first.id, plain.id]
    assert own.observer.enqueued_in == {"orders": 2}


async def test_a_call_of_nothing_but_duplicates_tells_nobody_anything():
    clock = VirtualClock()
    wakeups = NotedWakeups(clock)
    own, told = node(clock=clock, wakeups=wakeups), wakeups.told
    await own.enqueue(message(dedup_id="d"))
    told.clear()
    await own.service.enqueue("orders", [message(dedup_id="d")] * 3)
    assert told == []
    await own.service.enqueue("orders", [message(dedup_id="d"), message(dedup_id="e"), message(delay_ms=5)])
    # Of five only one was kept and can be claimed now.
    assert told == [("orders", 1)]
    assert own.observer.enqueued_in == {"orders": 3}


async def test_a_message_that_is_refused_leaves_no_dedup_id_behind(own: Node):
    await own.create("orders", body_bytes_max=1)
    (refused,) = await own.service.enqueue("orders", [message(b"11", dedup_id="d")])
    assert isinstance(refused, BodyTooLarge)
    (kept,) = await own.service.enqueue("orders", [message(b"1", dedup_id="d")])
    assert not kept.duplicate


@pytest.mark.parametrize(("settings", "known_ms"), [({}, 300_000), ({"dedup_ms": 1_000}, 1_000)])
async def test_a_dedup_id_is_known_for_as_long_as_the_queue_says_even_after_the_ack(
    own: Node, settings: dict[str, int], known_ms: int
):
    await own.create("orders", **settings)
    (first,) = await own.enqueue(message(dedup_id="d"))
    await own.service.ack([(await own.claim_one()).receipt])
    own.shift(known_ms - 1)
    assert await own.enqueue(message(dedup_id="d")) == [first]
    assert await own.messages() == []
    own.shift(1)
    assert await own.enqueue(message(dedup_id="d")) != [first]


async def test_a_dedup_id_is_its_queues_own(own: Node):
    await own.enqueue(message(dedup_id="d"))
    (elsewhere,) = await own.service.enqueue("other", [message(dedup_id="d")])
    assert not elsewhere.duplicate


@pytest.mark.parametrize(
    ("fault", "known"), [(Fault.UNKNOWN_DONE, True), (Fault.UNKNOWN_UNDONE, False), (Fault.REFUSED, False)]
)
async def test_who_sends_again_after_a_failure_has_the_message_kept_once(fault: Fault, known: bool):
    own = node(lambda store: FaultyStore(store, Plan(fault)))
    with pytest.raises(SqsliteError):
        await own.service.enqueue("orders", [message(dedup_id="d")])
    (again,) = await own.service.enqueue("orders", [message(dedup_id="d")])
    assert again.duplicate is known
    assert [m.id for m in await own.messages()] == [again.id]
