"""Where claims start to look, on a clock of the test's own."""

from datetime import UTC, datetime, timedelta

import pytest

from sqslite.adapters.stores.postgres.claim_cursor import (
    BEGINNING,
    FULL_SCAN_EVERY_S,
    REST_PER_SCAN,
    SLACK,
    UNASKED_FULL_SCAN_EVERY_S,
    AlwaysFromTheStart,
    ClaimCursor,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
PARTITION = 7


class Stopwatch:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def stopwatch() -> Stopwatch:
    return Stopwatch()


@pytest.fixture
def cursor(stopwatch: Stopwatch) -> ClaimCursor:
    return ClaimCursor(monotonic=stopwatch)


def test_the_first_claim_of_a_partition_starts_at_the_beginning(cursor: ClaimCursor):
    assert cursor.start(PARTITION) == BEGINNING


def test_the_next_claim_starts_a_little_before_where_the_last_one_ended(cursor: ClaimCursor):
    cursor.scanned(PARTITION, BEGINNING, NOON, 0.001)
    assert cursor.start(PARTITION) == NOON - SLACK
    cursor.scanned(PARTITION, NOON - SLACK, LATER, 0.001)
    assert cursor.start(PARTITION) == LATER - SLACK


def test_a_scan_that_claimed_nothing_leaves_the_place_as_it_is(cursor: ClaimCursor):
    cursor.scanned(PARTITION, BEGINNING, NOON, 0.001)
    cursor.scanned(PARTITION, NOON - SLACK, None, 0.001)
    assert cursor.start(PARTITION) == NOON - SLACK


def test_after_older_messages_turned_up_claims_go_on_from_there(cursor: ClaimCursor):
    cursor.scanned(PARTITION, BEGINNING, LATER, 0.001)
    cursor.scanned(PARTITION, BEGINNING, NOON, 0.001)
    assert cursor.start(PARTITION) == NOON - SLACK


def test_partitions_have_places_of_their_own(cursor: ClaimCursor):
    cursor.scanned(PARTITION, BEGINNING, NOON, 0.001)
    assert cursor.start(PARTITION + 1) == BEGINNING


def test_a_short_claim_looks_from_the_beginning_about_once_a_second(cursor: ClaimCursor, stopwatch: Stopwatch):
    cursor.scanned(PARTITION, BEGINNING, NOON, 0.001)
    assert not cursor.may_look_again(PARTITION)
    stopwatch.now_s += FULL_SCAN_EVERY_S
    assert cursor.may_look_again(PARTITION)
    assert not cursor.may_look_again(PARTITION), "of claims that come back short together only one looks again"


def test_slow_full_scans_come_less_often(cursor: ClaimCursor, stopwatch: Stopwatch):
    duration_s = 2.0
    cursor.scanned(PARTITION, BEGINNING, NOON, duration_s)
    stopwatch.now_s += REST_PER_SCAN * duration_s - 0.001
    assert not cursor.may_look_again(PARTITION)
    assert cursor.start(PARTITION) == NOON - SLACK
    stopwatch.now_s += 0.001
    assert cursor.may_look_again(PARTITION)


def test_claims_that_come_back_full_look_from_the_beginning_now_and_then(cursor: ClaimCursor, stopwatch: Stopwatch):
    cursor.scanned(PARTITION, BEGINNING, NOON, 0.001)
    stopwatch.now_s += UNASKED_FULL_SCAN_EVERY_S - 0.001
    assert cursor.start(PARTITION) == NOON - SLACK
    stopwatch.now_s += 0.001
    assert cursor.start(PARTITION) == BEGINNING
    assert cursor.start(PARTITION) == NOON - SLACK, "of concurrent claims only one does it"


def test_scans_from_the_cursor_do_not_put_the_full_scan_off(cursor: ClaimCursor, stopwatch: Stopwatch):
    cursor.scanned(PARTITION, BEGINNING, NOON, 0.001)
    for _ in range(11):
        stopwatch.now_s += 1
        start = cursor.start(PARTITION)
        if start == BEGINNING:
            return
        cursor.scanned(PARTITION, start, NOON, 0.001)
    pytest.fail("an older message would have waited for ever")


def test_without_rest_every_short_claim_looks_again(stopwatch: Stopwatch):
    cursor = ClaimCursor(full_scan_every_s=0, rest_per_scan=0, monotonic=stopwatch)
    cursor.scanned(PARTITION, BEGINNING, NOON, 5.0)
    assert cursor.may_look_again(PARTITION)
    assert cursor.may_look_again(PARTITION)
    assert cursor.start(PARTITION) == NOON - SLACK


def test_the_partition_longest_unused_is_forgotten_first(stopwatch: Stopwatch):
    cursor = ClaimCursor(partitions_max=2, monotonic=stopwatch)
    for partition_id in (1, 2, 1, 3):
        cursor.scanned(partition_id, BEGINNING, NOON, 0.001)
    assert [cursor.start(partition_id) == BEGINNING for partition_id in (1, 2, 3)] == [False, True, False]


def test_an_empty_partition_takes_no_memory(stopwatch: Stopwatch):
    cursor = ClaimCursor(partitions_max=1, monotonic=stopwatch)
    cursor.scanned(1, BEGINNING, NOON, 0.001)
    cursor.scanned(2, BEGINNING, None, 0.001)
    assert cursor.start(1) == NOON - SLACK


def test_a_place_at_the_beginning_of_time_is_the_beginning(cursor: ClaimCursor):
    cursor.scanned(PARTITION, BEGINNING, BEGINNING, 0.001)
    assert cursor.start(PARTITION) == BEGINNING


def test_no_cursor_always_starts_at_the_beginning():
    cursor = AlwaysFromTheStart()
    cursor.scanned(PARTITION, BEGINNING, NOON, 0.001)
    assert cursor.start(PARTITION) == BEGINNING
    assert not cursor.may_look_again(PARTITION)
