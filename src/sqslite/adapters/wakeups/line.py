"""A connection of one's own to PostgreSQL, made anew whenever it is lost."""

from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
from structlog import get_logger

from sqslite.adapters.stores.postgres.connections import SESSION, STATEMENT_S_MAX, Session
from sqslite.domain.limits import SECOND_MS, ms
from sqslite.domain.ports import Clock

CONNECT_S_MAX = 5
RECONNECT_MS_FIRST = 100
RECONNECT_MS_MAX = 5 * SECOND_MS
# A hint need not survive a crash, so its commit waits neither for the disk nor for a standby.
OPTIONS = f"-c statement_timeout={STATEMENT_S_MAX}s -c synchronous_commit=off"

log = get_logger()


class Line:
    """Keeps a connection in use. `lost` and `restored` name the events that are logged, once per loss."""

    def __init__(self, url: str, clock: Clock, *, lost: str, restored: str) -> None:
        self._url = url
        self._clock = clock
        self._lost = lost
        self._restored = restored
        self._down = False

    async def keep(self, use: Callable[[Session], Awaitable[None]]) -> None:
        """Use a connection for ever: another one when one was lost, after a pause that grows to RECONNECT_MS_MAX."""
        pause_ms = RECONNECT_MS_FIRST
        while True:
            try:
                session = await self._connected()
                connected_at = self._clock.now()
                try:
                    await use(session)
                finally:
                    await session.close()
                    # One that is lost as soon as it is made must not be made in a busy loop.
                    if self._clock.now() - connected_at > ms(RECONNECT_MS_MAX):
                        pause_ms = RECONNECT_MS_FIRST
            # Whatever it was: a task that ends in the background would end unnoticed.
            except Exception as error:
                self._failed(error)
            await self._clock.sleep_until(self._clock.now() + ms(pause_ms))
            pause_ms = min(2 * pause_ms, RECONNECT_MS_MAX)

    def works(self) -> None:
        """Whoever uses the connection has seen it work."""
        if self._down:
            self._down = False
            log.info(self._restored)

    async def _connected(self) -> Session:
        own_options = psycopg.conninfo.conninfo_to_dict(self._url).get("options") or ""
        parameters: dict[str, Any] = {
            **SESSION,
            "application_name": "sqslite wakeups",
            "connect_timeout": CONNECT_S_MAX,
            "options": f"{OPTIONS} {own_options}",
        }
        return await Session.connect(self._url, **parameters)

    def _failed(self, error: Exception) -> None:
        if not self._down:
            self._down = True
            log.warning(self._lost, error=str(error).partition("\n")[0] or type(error).__name__)
