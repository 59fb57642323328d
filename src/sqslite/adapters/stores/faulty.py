"""A store that fails on purpose, so that whoever stands on one learns to live with it."""

import asyncio
import enum
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from sqslite.adapters.stores.intercepted import InterceptedStore
from sqslite.domain.errors import OutcomeUnknown, StoreUnavailable
from sqslite.domain.ports import Store

T = TypeVar("T")
DELAY_TURNS = 5


class Fault(enum.Enum):
    """What befalls one call."""

    NONE = "none"
    REFUSED = "refused"
    """Nothing is done, and the caller is told so."""
    DELAYED = "delayed"
    """Others get their turn first."""
    UNKNOWN_UNDONE = "unknown_undone"
    """The connection is lost before the commit; the caller cannot know."""
    UNKNOWN_DONE = "unknown_done"
    """The connection is lost after the commit; the caller cannot know."""


class FaultyStore(InterceptedStore):
    """Each call meets the next fault of the plan; once the plan has run out, none."""

    def __init__(self, inner: Store, plan: Iterator[Fault]) -> None:
        super().__init__(inner)
        self._plan = plan

    def next_fault(self, method: str) -> Fault:
        """What befalls the call of that port method that is being made."""
        return next(self._plan, Fault.NONE)

    async def intercept(self, method: str, call: Callable[[], Awaitable[T]]) -> T:
        """Make the call as the plan has it."""
        match self.next_fault(method):
            case Fault.REFUSED:
                raise StoreUnavailable(f"{method} was refused on purpose")
            case Fault.UNKNOWN_UNDONE:
                raise OutcomeUnknown(f"{method} lost its connection on purpose")
            case Fault.UNKNOWN_DONE:
                await call()
                raise OutcomeUnknown(f"{method} lost its connection on purpose")
            case Fault.DELAYED:
                for _ in range(DELAY_TURNS):
                    await asyncio.sleep(0)
        return await call()
