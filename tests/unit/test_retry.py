"""The retry policy: when a message is dead-lettered or dropped, and how long it pauses otherwise."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sqslite.adapters.clock import VirtualClock
from sqslite.domain.leases import SECRET_BYTES, Lease, Receipt
from sqslite.domain.limits import DAY_MS, MAX_RETRIES_MAX, ms
from sqslite.domain.retry import Backoff, BackoffKind, DeadLetter, Drop, Requeue, RetryPolicy, decide, pause_ms

NOW = VirtualClock().now()

shares = st.floats(0, 1)
counts = st.integers(0, 10**6)
backoffs = st.builds(
    Backoff,
    kind=st.sampled_from(BackoffKind),
    base_ms=st.one_of(st.integers(0, DAY_MS), st.integers(0, 10**400)),
    factor=st.floats(0, 1e308),
    max_ms=st.integers(0, 14 * DAY_MS),
    jitter=shares,
)


def _lease(delivery_count: int, max_retries: int, dlq: str | None, expires_at: datetime | None = None) -> Lease:
    return Lease(
        queue="orders",
        receipt=Receipt(1, 1, delivery_count, bytes(SECRET_BYTES)),
        lease_until=NOW,
        delivery_count=delivery_count,
        max_retries=max_retries,
        dlq=dlq,
        expires_at=expires_at,
    )


def _policy(backoff: Backoff, max_retries: int = 7, dlq: str | None = None) -> RetryPolicy:
    return RetryPolicy(queue="orders", max_retries=max_retries, dlq=dlq, backoff=backoff)


@given(st.integers(1, 2_000), st.integers(1, MAX_RETRIES_MAX), st.sampled_from(["dead", None]), backoffs, shares)
def test_a_message_is_dead_lettered_exactly_when_used_up_and_a_dlq_is_named(
    delivery_count: int, max_retries: int, dlq: str | None, backoff: Backoff, jitter: float
):
    decision = decide(_lease(delivery_count, max_retries, dlq), _policy(backoff), jitter, NOW)
    if dlq and delivery_count >= max_retries:
        assert decision == DeadLetter("dead")
    else:
        assert decision == Requeue(pause_ms(backoff, delivery_count, jitter))


@pytest.mark.parametrize(
    ("delivery_count", "dlq", "decision"),
    [
        (2, "dead", Requeue(2_000)),
        (3, "dead", DeadLetter("dead")),
        (4, "dead", DeadLetter("dead")),
        (3, None, Requeue(4_000)),
        (400, None, Requeue(DAY_MS)),
    ],
)
def test_max_retries_is_the_number_of_deliveries_before_dead_lettering(delivery_count, dlq, decision):
    exponential = Backoff(kind=BackoffKind.EXPONENTIAL)
    assert decide(_lease(delivery_count, 3, dlq), _policy(exponential), 0.5, NOW) == decision


@pytest.mark.parametrize(
    ("own_max", "own_dlq", "decision"),
    [
        (0, None, DeadLetter("of the queue")),
        (4, None, Requeue(0)),
        (3, None, DeadLetter("of the queue")),
        (0, "own", DeadLetter("own")),
        (4, "own", Requeue(0)),
        # It lies in that one already.
        (0, "orders", DeadLetter("of the queue")),
    ],
)
def test_what_a_message_does_not_say_its_queue_decides(own_max: int, own_dlq: str | None, decision: object):
    policy = _policy(Backoff(), 2, "of the queue")
    assert decide(_lease(3, own_max, own_dlq), policy, 0.5, NOW) == decision
    without = _policy(Backoff(), 2)
    assert decide(_lease(3, own_max, "orders"), without, 0.5, NOW) == Requeue(0)


def test_what_its_holder_rejects_is_dead_lettered_with_deliveries_left_where_it_names_a_dlq():
    assert decide(_lease(1, 3, "dead"), _policy(Backoff()), 0.5, NOW, rejected=True) == DeadLetter("dead")
    assert decide(_lease(1, 3, None), _policy(Backoff()), 0.5, NOW, rejected=True) == Requeue(0)
    assert decide(_lease(1, 3, "dead", expires_at=NOW), _policy(Backoff()), 0.5, NOW, rejected=True) == Drop()


@pytest.mark.parametrize("dlq", ["dead", None])
@pytest.mark.parametrize("delivery_count", [1, 3])
def test_a_message_is_dropped_from_the_very_end_of_its_retention_even_where_it_is_used_up(dlq, delivery_count):
    over, at_once = _lease(delivery_count, 3, dlq, expires_at=NOW), _policy(Backoff())
    assert decide(over, at_once, 0.5, NOW) == Drop()
    assert decide(over, at_once, 0.5, NOW + ms(1)) == Drop()
    kept = decide(over, at_once, 0.5, NOW - ms(1))
    assert kept == (DeadLetter("dead") if dlq and delivery_count == 3 else Requeue(0))
    for_ever = _lease(delivery_count, 3, dlq)
    assert decide(for_ever, at_once, 0.5, NOW.replace(year=9999)) == kept


@pytest.mark.parametrize(
    ("backoff", "pauses_ms"),
    [
        (Backoff(), [0, 0, 0, 0]),
        (Backoff(kind=BackoffKind.FIXED, base_ms=700), [700] * 4),
        (Backoff(kind=BackoffKind.LINEAR, base_ms=500), [500, 1_000, 1_500, 2_000]),
        (Backoff(kind=BackoffKind.EXPONENTIAL, base_ms=500), [500, 1_000, 2_000, 4_000]),
        (Backoff(kind=BackoffKind.EXPONENTIAL, base_ms=900, factor=1.5, max_ms=2_000), [900, 1_350, 2_000, 2_000]),
        (Backoff(kind=BackoffKind.EXPONENTIAL, base_ms=800, factor=0.5), [800, 400, 200, 100]),
        (Backoff(kind=BackoffKind.EXPONENTIAL, base_ms=800, factor=0.0), [800, 0, 0, 0]),
        (Backoff(kind=BackoffKind.FIXED, base_ms=700, max_ms=600), [600] * 4),
    ],
)
def test_a_pause_grows_as_its_kind_says(backoff: Backoff, pauses_ms: list[int]):
    assert [pause_ms(backoff, delivery_count, 0.9) for delivery_count in (1, 2, 3, 4)] == pauses_ms


@given(backoffs, counts, shares)
def test_a_pause_is_a_whole_number_from_0_to_its_maximum(backoff: Backoff, delivery_count: int, jitter: float):
    pause = pause_ms(backoff, delivery_count, jitter)
    assert isinstance(pause, int)
    assert 0 <= pause <= backoff.max_ms


@given(
    st.sampled_from([BackoffKind.LINEAR, BackoffKind.EXPONENTIAL]),
    st.integers(0, DAY_MS),
    st.floats(1, 100),
    counts,
    st.integers(0, 100),
    shares,
)
def test_without_jitter_a_later_pause_is_never_shorter(kind, base_ms, factor, delivery_count, more, jitter):
    backoff = Backoff(kind=kind, base_ms=base_ms, factor=factor)
    assert pause_ms(backoff, delivery_count, jitter) <= pause_ms(backoff, delivery_count + more, 1.0 - jitter)


@given(backoffs, counts, shares)
def test_jitter_takes_its_share_of_the_pause_at_most(backoff: Backoff, delivery_count: int, jitter: float):
    full_ms = pause_ms(backoff, delivery_count, 0.0)
    pause = pause_ms(backoff, delivery_count, jitter)
    # One millisecond of rounding.
    assert full_ms * (1.0 - backoff.jitter) - 1 <= pause <= full_ms
    assert pause_ms(backoff, delivery_count, 1.0) <= pause


def test_full_jitter_goes_down_to_nothing_and_half_of_it_to_a_half():
    full = Backoff(kind=BackoffKind.FIXED, base_ms=1_000, jitter=1.0)
    assert [pause_ms(full, 1, jitter) for jitter in (0.0, 0.25, 1.0)] == [1_000, 750, 0]
    half = Backoff(kind=BackoffKind.FIXED, base_ms=1_000, jitter=0.5)
    assert [pause_ms(half, 1, jitter) for jitter in (0.0, 0.5, 1.0)] == [1_000, 750, 500]


@pytest.mark.parametrize("kind", [BackoffKind.FIXED, BackoffKind.LINEAR, BackoffKind.EXPONENTIAL])
def test_what_is_beyond_all_floats_is_the_maximum(kind: BackoffKind):
    assert pause_ms(Backoff(kind=kind, base_ms=10**400, factor=1e308), 10**6, 0.5) == DAY_MS


def test_a_base_of_nothing_stays_nothing_however_large_the_factor():
    assert pause_ms(Backoff(kind=BackoffKind.EXPONENTIAL, base_ms=0, factor=1e308), 10**6, 0.5) == 0
