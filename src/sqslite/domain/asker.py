"""Who waits for an answer, and may leave before it comes."""

from collections.abc import Callable


class Asker:
    """One who asked. Whoever works for him is told when he leaves, so that nothing is held for nobody."""

    there = True
    _tell: Callable[[], None] | None = None

    def leave(self) -> None:
        """He waits no longer."""
        self.there = False
        if self._tell is not None:
            self._tell()

    def when_gone(self, tell: Callable[[], None]) -> None:
        """Call this once he leaves, or now where he has; it takes the place of what was to be called before."""
        self._tell = tell
        if not self.there:
            tell()
