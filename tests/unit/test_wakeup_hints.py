"""Hints between processes, without a database: what is sent, what is understood, what is kept, what is logged."""

import asyncio
import contextlib
import json
from datetime import timedelta
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from sqslite.adapters.clock import VirtualClock
from sqslite.adapters.entropy import SeededEntropy
from sqslite.adapters.wakeups import hints
from sqslite.adapters.wakeups.hints import Hint, Outbox, hint_of, payload
from sqslite.adapters.wakeups.line import RECONNECT_MS_FIRST, RECONNECT_MS_MAX, Line
from sqslite.adapters.wakeups.local import LocalWakeups
from sqslite.adapters.wakeups.postgres import GIVE_WAY_MS, SEND_EVERY_MS, UNHEARD_MS_MAX, Echo, PostgresWakeups
from sqslite.domain.limits import QUEUE_NAME_CHARS_MAX, ms
from tests.unit.test_wakeups import settled

PAYLOAD_BYTES_MAX = 7_999
TICK = timedelta(microseconds=1)


def test_a_payload_is_json_and_says_no_more_than_it_must():
    assert json.loads(payload(Hint("orders", 3, "n1"))) == {"queue": "orders", "count": 3, "node": "n1"}
    assert json.loads(payload(Hint("orders"))) == {"queue": "orders"}


def test_a_payload_comes_back_as_the_hint_it_was():
    for hint in (Hint("orders"), Hint("orders", 7), Hint("a.b-c_d", 1_000_000, "n1")):
        assert hint_of(payload(hint)) == hint


def test_the_longest_payload_is_one_that_postgresql_takes():
    assert len(payload(Hint("q" * QUEUE_NAME_CHARS_MAX, 2**63, "f" * 32)).encode()) <= PAYLOAD_BYTES_MAX


def test_a_queue_alone_stands_for_one_message_from_anybody():
    assert hint_of('{"queue": "orders"}') == Hint("orders", 1, None)
    assert hint_of('{"queue": "orders", "count": 5, "more": [1]}') == Hint("orders", 5, None)


@pytest.mark.parametrize(
    "text",
    ["", "orders", "null", "[]", "{}", '{"queue":1}', '{"queue":null}', '{"queue":"q","count":"1"}', '{"queue":"q"'],
)
def test_a_payload_that_is_no_hint_is_none(text: str):
    assert hint_of(text) is None


async def test_hints_for_one_queue_wait_as_one_and_are_taken_once():
    outbox = Outbox()
    for _ in range(1_000):
        outbox.add("orders", 2)
    outbox.add("mail", 1)
    await asyncio.wait_for(outbox.filled(), 1)
    assert outbox.take() == {"orders": 2_000, "mail": 1}
    assert outbox.take() == {}


async def test_an_outbox_is_filled_only_by_what_says_something():
    outbox = Outbox()
    outbox.add("orders", 0)
    outbox.add("orders", -1)
    waiting = asyncio.ensure_future(outbox.filled())
    await asyncio.sleep(0)
    assert not waiting.done()
    outbox.add("orders", 1)
    await asyncio.wait_for(waiting, 1)
    outbox.take()
    again = asyncio.ensure_future(outbox.filled())
    await asyncio.sleep(0)
    assert not again.done()
    again.cancel()


def test_a_full_outbox_drops_new_queues_and_counts_on_for_those_it_has(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(hints, "PENDING_QUEUES_MAX", 2)
    outbox = Outbox()
    for queue in ("a", "b", "c", "a"):
        outbox.add(queue, 1)
    assert outbox.take() == {"a": 2, "b": 1}


class Unreachable(Line):
    """A line whose every attempt fails, and that notes when it was made."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__("", clock, lost="gone", restored="back")
        self.clock = clock
        self.attempts_ms: list[int] = []
        self._start = clock.now()

    async def _connected(self) -> None:
        self.attempts_ms.append(round((self.clock.now() - self._start) / ms(1)))
        raise OSError("no route\nand much more")


async def test_a_line_that_cannot_be_had_is_tried_ever_more_slowly_and_logged_once():
    clock = VirtualClock()
    line = Unreachable(clock)
    with capture_logs() as logs:
        keeping = asyncio.ensure_future(line.keep(lambda session: asyncio.sleep(0)))
        await settled()
        await clock.advance(ms(60_000))
        keeping.cancel()
    pauses = [later - earlier for earlier, later in pairwise(line.attempts_ms)]
    assert pauses[:4] == [RECONNECT_MS_FIRST * 2**n for n in range(4)]
    assert set(pauses[6:]) == {RECONNECT_MS_MAX}
    assert [(entry["log_level"], entry["event"], entry["error"]) for entry in logs] == [("warning", "gone", "no route")]


class Flapping(Unreachable):
    """A line that works for `up_ms` each time and is lost then."""

    async def _connected(self) -> "Flapping":
        self.attempts_ms.append(round((self.clock.now() - self._start) / ms(1)))
        return self

    async def close(self) -> None:
        pass


@pytest.mark.parametrize(("up_ms", "pauses_grow"), [(0, True), (RECONNECT_MS_MAX, True), (RECONNECT_MS_MAX + 1, False)])
async def test_only_a_line_that_held_for_a_while_is_tried_again_soon(up_ms: int, pauses_grow: bool):
    clock = VirtualClock()
    line = Flapping(clock)

    async def use(session: Flapping) -> None:
        line.works()
        await clock.sleep_until(clock.now() + ms(up_ms))
        raise OSError("lost")

    with capture_logs() as logs:
        keeping = asyncio.ensure_future(line.keep(use))
        await settled()
        await clock.advance(ms(100_000))
        keeping.cancel()
    last_pause = line.attempts_ms[-1] - line.attempts_ms[-2] - up_ms
    assert last_pause == (RECONNECT_MS_MAX if pauses_grow else RECONNECT_MS_FIRST)
    # Each loss is told, and each return.
    assert {entry["event"] for entry in logs} == {"gone", "back"}
    assert all(first["event"] != second["event"] for first, second in pairwise(logs))


class Sender:
    """Sends hints by an echo on a clock that the test moves; counts the warnings."""

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.echo = Echo(self.clock)

    def send(self, *, heard_meanwhile: bool = False, fails: bool = False) -> int:
        """The warnings that came of it."""
        with capture_logs() as logs, contextlib.suppress(OSError), self.echo.of_sending():
            if heard_meanwhile:
                self.echo.heard()
            if fails:
                raise OSError("lost")
        return sum(entry["event"] == "wakeups_unheard" for entry in logs)

    def rest(self, milliseconds: int = 2 * UNHEARD_MS_MAX) -> None:
        self.clock.shift(ms(milliseconds))


def test_hints_that_do_not_come_back_are_warned_of_once():
    sender = Sender()
    with sender.echo.expected():
        assert sender.send() == 0
        sender.rest(UNHEARD_MS_MAX)
        assert sender.send() == 0
        sender.rest(1)
        assert [sender.send() for _ in range(3)] == [1, 0, 0]


@pytest.mark.parametrize("meanwhile", [True, False])
def test_hints_that_come_back_are_nothing_to_warn_of_however_soon_they_do(meanwhile: bool):
    sender = Sender()
    with sender.echo.expected():
        for _ in range(3):
            assert sender.send(heard_meanwhile=meanwhile) == 0
            if not meanwhile:
                sender.echo.heard()
            sender.rest()


def test_a_hint_that_comes_back_late_lets_the_next_silence_be_told_again():
    sender = Sender()
    with sender.echo.expected():
        for _ in range(2):
            assert sender.send() == 0
            sender.rest()
            assert sender.send() == 1
            sender.echo.heard()


def test_hints_that_could_not_be_sent_are_not_expected_back():
    sender = Sender()
    with sender.echo.expected():
        assert sender.send(fails=True) == 0
        sender.rest()
        assert sender.send() == 0


def test_nothing_is_expected_back_while_nobody_listens():
    sender = Sender()
    with sender.echo.expected():
        sender.send()
    for _ in range(3):
        sender.rest()
        assert sender.send() == 0
    with sender.echo.expected():
        assert sender.send() == 0


class Sent:
    """A connection that notes the hints it is to send."""

    stale = False

    def __init__(self) -> None:
        self.hints: list[tuple[str, int]] = []

    async def execute(self, sql: bytes, parameters: list[list[str]]) -> None:
        sent = [hint_of(text) for text in parameters[0]]
        self.hints += [(hint.queue, hint.count) for hint in sent if hint]


async def test_hints_are_sent_once_those_who_wait_here_had_their_turn_and_not_more_often_than_may_be():
    clock = VirtualClock()
    wakeups = PostgresWakeups(LocalWakeups(clock), "", clock, SeededEntropy())
    session = Sent()
    sending = asyncio.ensure_future(wakeups._send(session))
    await settled()
    wakeups.notify("orders", 1)
    await settled()
    await clock.advance(ms(GIVE_WAY_MS) - TICK)
    assert session.hints == []
    wakeups.notify("orders", 2)
    await clock.advance(TICK)
    assert session.hints == [("orders", 3)]
    wakeups.notify("orders", 1)
    await clock.advance(ms(SEND_EVERY_MS) - TICK)
    assert session.hints == [("orders", 3)]
    await clock.advance(TICK)
    assert session.hints == [("orders", 3), ("orders", 1)]
    sending.cancel()
