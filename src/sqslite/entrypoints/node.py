"""One node at work: its storage open, what goes on unasked going on. The server runs one, and so may any program."""

import contextlib
from collections.abc import AsyncIterator

from sqslite.entrypoints.container import Container
from sqslite.entrypoints.sweeper import hand_over, in_background


@contextlib.asynccontextmanager
async def at_work(container: Container, *, migrate: bool = False) -> AsyncIterator[None]:
    """Let the node of the container work for the time of the block, with a sweeper where the settings have one.

    `migrate` brings the schema up to this version before anything goes on. Raises SchemaTooNew then.
    """
    backend, wakeups, tally = container.backend(), container.wakeups(), container.tally()
    caretakers = (container.sweep().run, container.redriving().run) if container.settings().sweeper else ()
    await backend.open()
    try:
        if migrate:
            await backend.migrate()
        await wakeups.open()
        async with in_background(*caretakers, tally.run):
            yield
        await hand_over(tally.flush)
    finally:
        await wakeups.close()
        await backend.close()
