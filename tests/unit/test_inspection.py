"""Looking without touching: counts and totals, peeks in pages, and tokens that are none."""

from collections.abc import Sequence

import pytest

from sqslite.domain import limits
from sqslite.domain.errors import InvalidValue, MessageNotFound, QueueNotFound
from sqslite.domain.inspection import PEEKED_AT_ONCE, PEEKED_FIRST
from sqslite.domain.lifecycle import State
from sqslite.domain.messages import Message
from sqslite.domain.ports import Totals
from tests.unit.node import Node, message, node

ALL = 1_000


@pytest.fixture
def own() -> Node:
    return node()


async def sent(on: Node, delays_ms: list[int | None]) -> list[int]:
    outcomes = await on.service.enqueue("orders", [message(delay_ms=delay_ms) for delay_ms in delays_ms])
    return [outcome.id for outcome in outcomes]


async def filled(on: Node, ready: int = 3, delayed: int = 3, leased: int = 3) -> list[tuple[State, int]]:
    """States and ids of messages in every state, in the order in which a peek shows them."""
    held = await sent(on, [None] * leased)
    for n in range(leased):
        await on.claim_one(visibility_ms=60_000 - n)
    # Later than the leases end: a place among the delayed ones must not be taken for one among the leased.
    later = await sent(on, [90_000 - n for n in range(delayed)])
    here = await sent(on, [None] * ready)
    in_order = {State.READY: here, State.DELAYED: later[::-1], State.LEASED: held[::-1]}
    return [(state, one) for state, ids in in_order.items() for one in ids]


async def peeked(on: Node, state: str | None = None, limit: int | None = None) -> list[list[tuple[State, int]]]:
    """All pages of a peek."""
    pages, after = [], None
    while True:
        page = await on.inspection.peek("orders", state, after, limit)
        pages.append([(state, message.id) for state, message in page.messages])
        after = page.after
        if after is None:
            return pages


# Counts


async def test_stats_are_the_messages_by_state_and_what_happened_so_far(own: Node):
    await filled(own, ready=1, delayed=2, leased=3)
    own.shift(250)
    depth, totals = await own.inspection.stats("orders")
    assert (depth.ready, depth.delayed, depth.in_flight, depth.oldest_ready_age_ms) == (1, 2, 3, 250)
    assert totals == Totals(enqueued=6, received=3)


async def test_stats_of_a_queue_that_is_empty_are_noughts(own: Node):
    await own.create("orders")
    depth, totals = await own.inspection.stats("orders")
    assert (depth.ready, depth.delayed, depth.in_flight, depth.oldest_ready_age_ms) == (0, 0, 0, None)
    assert totals == Totals()


# Peeks


async def test_a_peek_shows_the_ready_then_the_delayed_then_the_leased_and_touches_nothing(own: Node):
    shown = await filled(own)
    before = await own.messages()
    assert await peeked(own) == [shown]
    assert await peeked(own) == [shown]
    assert await own.messages() == before


@pytest.mark.parametrize(
    ("sizes", "pages"),
    [
        ([400] * 5, [2, 2, 1]),
        ([5000, 10, 10], [1, 2]),
        ([10, 5000, 10], [1, 1, 1]),
        ([500, 500], [2]),
        ([1] * 40, [40]),
        ([1] * 30 + [999, 1, 1], [31, 2]),
    ],
)
async def test_a_page_has_few_bytes_but_for_a_larger_message_alone(
    own: Node, sizes: list[int], pages: list[int], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(limits, "PAGE_BYTES_MAX", 1029)
    sent = await own.enqueue(*(message(b"1" * size) for size in sizes))
    found = await peeked(own, limit=ALL)
    assert [len(page) for page in found] == pages
    assert [one for page in found for _, one in page] == sent


@pytest.mark.parametrize(("small", "shown", "reads"), [(0, 7, PEEKED_FIRST), (50, 57, PEEKED_FIRST + PEEKED_AT_ONCE)])
async def test_a_page_reads_few_large_messages(
    own: Node, small: int, shown: int, reads: int, monkeypatch: pytest.MonkeyPatch
):
    read = 0
    peek = own.backend.stats.peek

    async def counting(*place: object) -> Sequence[Message]:
        nonlocal read
        found = await peek(*place)
        read += len(found)
        return found

    monkeypatch.setattr(own.backend.stats, "peek", counting)
    await own.enqueue(*(message(b"1") for _ in range(small)), *(message(b"1" * 400_000) for _ in range(200)))
    assert len((await own.inspection.peek("orders", None, None, ALL)).messages) == shown
    assert read == reads


@pytest.mark.parametrize("limit", range(1, 12))
async def test_pages_show_every_message_once_and_the_last_one_says_so(own: Node, limit: int):
    shown = await filled(own)
    pages = await peeked(own, limit=limit)
    assert [one for page in pages for one in page] == shown
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert len(pages) == -(-len(shown) // limit)


@pytest.mark.parametrize("state", ["ready", "delayed", "leased"])
@pytest.mark.parametrize("limit", [1, 2, 3, 4])
async def test_a_peek_at_one_state_shows_that_one_only(own: Node, state: str, limit: int):
    shown = [(each, one) for each, one in await filled(own) if each == state]
    assert [one for page in await peeked(own, state, limit) for one in page] == shown


@pytest.mark.parametrize("empty", [{"ready": 0}, {"delayed": 0}, {"leased": 0}, {"ready": 0, "delayed": 0}])
@pytest.mark.parametrize("limit", [1, 3, 6])
async def test_states_without_messages_are_passed_over(own: Node, empty: dict[str, int], limit: int):
    shown = await filled(own, **empty)
    assert [one for page in await peeked(own, limit=limit) for one in page] == shown


async def test_messages_of_one_instant_are_told_apart_by_id(own: Node):
    ids = await own.enqueue(*[message(delay_ms=5) for _ in range(5)])
    assert [one for page in await peeked(own, limit=2) for _, one in page] == ids


async def test_a_page_goes_on_where_the_last_ended_though_messages_went_meanwhile(own: Node):
    ids = await own.enqueue(*[message() for _ in range(6)])
    page = await own.inspection.peek("orders", None, None, 3)
    await own.service.ack_unproven(ids[:4])
    rest = await own.inspection.peek("orders", None, page.after, 3)
    assert [shown.id for _, shown in rest.messages] == ids[4:]
    assert rest.after is None


async def test_instants_keep_their_microseconds_from_page_to_page(own: Node):
    for _ in range(3):
        await own.enqueue()
        own.clock.shift(limits.ms(1) / 1_000)
    assert [len(page) for page in await peeked(own, limit=1)] == [1, 1, 1]


async def test_a_page_has_a_hundred_messages_unless_asked_otherwise(own: Node):
    await own.enqueue(*[message() for _ in range(limits.PAGE_DEFAULT + 1)])
    assert [len(page) for page in await peeked(own)] == [100, 1]
    assert [len(page) for page in await peeked(own, limit=limits.PAGE_MAX)] == [101]


async def test_a_queue_without_messages_has_one_empty_page(own: Node):
    await own.create("orders")
    assert await peeked(own) == [[]]


@pytest.mark.parametrize("limit", [0, -1, 1_001])
async def test_a_page_beyond_the_limits_is_refused(own: Node, limit: int):
    await own.create("orders")
    with pytest.raises(InvalidValue, match=rf"^limit must be 1 to 1000; got {limit}$"):
        await own.inspection.peek("orders", None, None, limit)


@pytest.mark.parametrize("state", ["", "READY", "gone", "none", "ready "])
async def test_a_state_that_is_none_is_refused(own: Node, state: str):
    await own.create("orders")
    with pytest.raises(InvalidValue, match=r"^state must be one of ready, delayed, leased; got "):
        await own.inspection.peek("orders", state, None, None)


@pytest.mark.parametrize(
    "token",
    [
        "x",
        "ready",
        "ready.1",
        "ready.1.",
        "ready..1",
        ".1.1",
        "ready.1.1.1",
        "gone.1.1",
        "none.1.1",
        "Ready.1.1",
        "ready.-1.1",
        "ready.1.-1",
        "ready.+1.1",
        "ready.1 .1",
        "ready.1_0.1",
        "ready.\u0661.1",
        "ready.1.\u00b2",
        "ready.1.9007199254740992",
        f"ready.1.{'9' * 400}",
        f"ready.{'9' * 18}.1",
        f"ready.{'9' * 400}.1",
        f"ready.{'9' * 5_000}.1",
        "\ud800.1.1",
    ],
)
async def test_a_token_that_was_never_given_out_is_refused(own: Node, token: str):
    await own.create("orders")
    with pytest.raises(InvalidValue, match=r"^after must be what the page before it answered; got "):
        await own.inspection.peek("orders", None, token, None)


async def test_a_token_is_good_for_the_states_it_was_given_for(own: Node):
    await filled(own)
    leased = await own.inspection.peek("orders", "leased", None, 1)
    with pytest.raises(InvalidValue, match=r"^after must be what the page before it answered, with the same state"):
        await own.inspection.peek("orders", "ready", leased.after, 1)
    anywhere = await own.inspection.peek("orders", None, leased.after, ALL)
    assert [state for state, _ in anywhere.messages] == [State.LEASED] * 2


@pytest.mark.parametrize("token", ["ready.0.0", "ready.1.9007199254740991"])
async def test_a_token_of_the_oldest_times_shows_all(own: Node, token: str):
    shown = await filled(own)
    assert len((await own.inspection.peek("orders", None, token, None)).messages) == len(shown)


# What is not there


async def test_what_is_not_there_is_told_as_such(own: Node):
    with pytest.raises(QueueNotFound):
        await own.inspection.stats("orders")
    with pytest.raises(QueueNotFound):
        await own.inspection.peek("orders", None, None, None)
    with pytest.raises(MessageNotFound, match=r"^message 5 does not exist"):
        await own.inspection.explain(5)
    with pytest.raises(InvalidValue, match=r"^queue must be "):
        await own.inspection.stats("a b")
    assert await own.administration.page() == []
