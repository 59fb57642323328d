"""Wake-ups across processes and nodes, over PostgreSQL's NOTIFY. Hints only: whoever waits also looks by itself.

The channel is `sqslite_wakeups`, and a notification's payload a JSON object:

    {"queue": "orders", "count": 3, "node": "6f0c…"}

`queue` is the queue's name. `count` (1 where it is missing) says how many messages may have become claimable: each
process wakes up to so many of its waiters. `node` names the process that sent it, which takes no notice, for it has
woken its own waiters already; without a `node` everybody takes notice. So a function in the database, or any other
program, wakes all waiters of a queue by

    SELECT pg_notify('sqslite_wakeups', '{"queue": "orders"}')

in the transaction that makes the messages available. Any other payload is ignored.
"""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime

from structlog import get_logger

from sqslite.adapters.stores.postgres.connections import Session
from sqslite.adapters.stores.statements import load_statements
from sqslite.adapters.wakeups.hints import Hint, Outbox, hint_of, payload
from sqslite.adapters.wakeups.line import Line
from sqslite.adapters.wakeups.local import LocalWakeups, LocalWatch
from sqslite.domain.limits import SECOND_MS, ms
from sqslite.domain.ports import Clock, Entropy

# NOTIFY takes a lock of the whole database cluster at commit, so hints are sent together and not more often than this.
SEND_EVERY_MS = 20
GIVE_WAY_MS = 1
SEND_S_MAX = 2.0
CLOSING_S_MAX = 1.0
# A hint that this process has sent and not heard itself by then is heard by nobody.
UNHEARD_MS_MAX = 5 * SECOND_MS

log = get_logger()


class PostgresWakeups:
    """Wakes this process's waiters at once, and tells the others, from whom it hears in turn.

    It holds two connections, one that listens and one that sends. Without them its waiters poll.
    """

    def __init__(self, local: LocalWakeups, url: str, clock: Clock, entropy: Entropy) -> None:
        self._local = local
        self._clock = clock
        self._node = entropy.secrets(1).hex()
        self._outbox = Outbox()
        self._statements = {name: text.encode() for name, text in load_statements(__package__).items()}
        self._hearing = Line(url, clock, lost="wakeups_not_heard", restored="wakeups_heard_again")
        self._sending = Line(url, clock, lost="wakeups_not_sent", restored="wakeups_sent_again")
        self._echo = Echo(clock)
        self._tasks: list[asyncio.Task[None]] = []

    def watching(self, queue: str) -> AbstractContextManager[LocalWatch]:
        """Stand in line for the time of the block. Raises Overloaded where too many of this process wait already."""
        return self._local.watching(queue)

    def notify(self, queue: str, count: int) -> None:
        """Wake as many waiters of this process as messages came, and of every other process soon after."""
        self._local.notify(queue, count)
        self._outbox.add(queue, count)

    async def open(self) -> None:
        """Start to connect, and wait for nothing."""
        self._tasks = [
            asyncio.create_task(self._hearing.keep(self._hear), name="wakeups heard"),
            asyncio.create_task(self._sending.keep(self._send), name="wakeups sent"),
        ]

    def release_waiters(self) -> None:
        """Let everybody look for the last time, and nobody wait any more: the process is to end."""
        self._local.release_waiters()

    async def close(self) -> None:
        """Let go of both connections; a server that does not answer is waited for CLOSING_S_MAX."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSING_S_MAX)

    async def _hear(self, session: Session) -> None:
        await session.execute(self._statements["listen"])
        self._hearing.works()
        # What was sent while nobody listened is not sent again.
        self._local.notify_every_queue()
        with self._echo.expected():
            async for notification in session.notifies():
                self._heard(hint_of(notification.payload))

    def _heard(self, hint: Hint | None) -> None:
        if hint is None:
            return
        if hint.node == self._node:
            self._echo.heard()
        else:
            self._local.notify(hint.queue, hint.count)

    async def _send(self, session: Session) -> None:
        while True:
            await self._outbox.filled()
            if session.stale:
                # The hints are still there for the next connection.
                raise ConnectionError("the server has ended the connection")
            next_at = self._clock.now() + ms(SEND_EVERY_MS)
            # To send takes this process's time, which those that it has just woken need for their claims.
            await self._clock.sleep_until(self._clock.now() + ms(GIVE_WAY_MS))
            with self._echo.of_sending():
                async with asyncio.timeout(SEND_S_MAX):
                    await session.execute(self._statements["notify"], [self._payloads(self._outbox.take())])
            self._sending.works()
            await self._clock.sleep_until(next_at)

    def _payloads(self, counts: Mapping[str, int]) -> list[str]:
        return [payload(Hint(queue, count, self._node)) for queue, count in counts.items()]


class Echo:
    """Notices when a process does not hear what it sends itself: then, behind some poolers, it hears nobody."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._expected = False
        self._unheard_since: datetime | None = None
        self._told = False

    @contextmanager
    def expected(self) -> Iterator[None]:
        """For the time of the block somebody listens, so what is sent should be heard."""
        self._expected, self._unheard_since = True, None
        try:
            yield
        finally:
            self._expected, self._unheard_since = False, None

    @contextmanager
    def of_sending(self) -> Iterator[None]:
        """Hints are sent in the block. Warns, once, where nothing came of those sent UNHEARD_MS_MAX ago."""
        now = self._clock.now()
        if self._unheard_since is not None and now - self._unheard_since > ms(UNHEARD_MS_MAX) and not self._told:
            self._told = True
            log.warning("wakeups_unheard", because="LISTEN needs a session of its own, which some poolers do not give")
        if self._expected and self._unheard_since is None:
            # Before they are sent, because they may be heard before the server says that they were.
            self._unheard_since = now
        try:
            yield
        except BaseException:
            self._unheard_since = None
            raise

    def heard(self) -> None:
        """A hint of our own came back."""
        self._unheard_since, self._told = None, False
