"""What a test does to a server that runs for it: it moves its time, lets calls fail, and empties it."""

from datetime import datetime, timedelta

from sqslite.adapters.clock import SteppedClock
from sqslite.adapters.faults import Chances, FaultRates
from sqslite.domain import limits
from sqslite.domain.administration import QueueAdministration
from sqslite.domain.errors import QueueNotFound
from sqslite.domain.sweep import Sweep

ADVANCE_MS_MAX = 366 * limits.DAY_MS


class TestingControl:
    """Time, faults and emptiness of one server in testing mode."""

    # pytest would take it for a class of tests.
    __test__ = False

    def __init__(
        self, clock: SteppedClock, chances: Chances, sweep: Sweep, administration: QueueAdministration
    ) -> None:
        self._clock = clock
        self._chances = chances
        self._sweep = sweep
        self._administration = administration

    @property
    def now(self) -> datetime:
        """The server's time."""
        return self._clock.now()

    @property
    def frozen(self) -> bool:
        """Whether the server's time stands still but for steps."""
        return self._clock.frozen

    @property
    def rates(self) -> FaultRates:
        """How likely each fault is."""
        return self._chances.rates

    async def advance(self, duration_ms: int) -> datetime:
        """Skip the time, and settle all that has ended then: leases, delays, retention. The server's new time.

        Raises InvalidValue.
        """
        limits.check_range("by_ms", duration_ms, 0, ADVANCE_MS_MAX)
        self._clock.step(timedelta(milliseconds=duration_ms))
        while await self._sweep.settle_due():
            pass
        await self._sweep.clear()
        return self._clock.now()

    def freeze(self) -> None:
        """Stop the server's time; steps still move it."""
        self._clock.freeze()

    def run(self) -> None:
        """Let the server's time go on from where it stands."""
        self._clock.run()

    def let_fail(self, rates: FaultRates) -> None:
        """Let these faults befall the calls that come. Raises InvalidValue."""
        self._chances.set_rates(rates)

    async def reset(self) -> None:
        """Be like new: no queue, no fault, and the system's time."""
        self._chances.set_rates(FaultRates())
        # Long ago, so that SQS does not refuse the next test a queue whose name was in use a moment ago.
        self._clock.reset(-limits.ms(limits.DAY_MS))
        while queues := await self._administration.page():
            for queue in queues:
                try:
                    await self._administration.delete(queue.name)
                except QueueNotFound:
                    # Somebody else was faster.
                    continue
        self._clock.reset()
