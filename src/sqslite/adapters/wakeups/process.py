"""The wake-ups of one process, whatever carries them: the port, and a life of their own."""

from typing import Protocol

from sqslite.domain.ports import Wakeups


class ProcessWakeups(Wakeups, Protocol):
    """Wake-ups that are opened once and closed once; before and after, and while their line is down, waiters poll."""

    async def open(self) -> None:
        """Start to exchange wake-ups with other processes where that is possible; waits for nothing, never fails."""
        ...

    def release_waiters(self) -> None:
        """Let everybody look for the last time, and nobody wait any more: the process is to end."""
        ...

    async def close(self) -> None:
        """Let go of every connection. Wake-ups that were not sent yet are dropped."""
        ...
