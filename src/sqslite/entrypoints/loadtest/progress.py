"""How a load test stands, each second: one line that changes on a terminal, a line each into a pipe."""

from rich.console import Console
from rich.live import Live
from rich.text import Text

from sqslite.entrypoints.loadtest.plan import Plan
from sqslite.entrypoints.loadtest.run import Moment

BAR_CHARS = 10


class Progress:
    """Shows moments on the console, for the time of the block."""

    def __init__(self, plan: Plan, console: Console) -> None:
        self._plan = plan
        self._console = console
        self._live = Live(console=console, transient=True, auto_refresh=False) if console.is_terminal else None
        self._last = Moment(
            at_s=0,
            draining=False,
            accepted=0,
            acked=0,
            unsettled=0,
            errors=0,
            enqueue_p99_ms=None,
            dwell_p99_ms=None,
        )

    def __enter__(self) -> "Progress":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, moment: Moment) -> None:
        """Show how it stands, with the rates since the moment before."""
        line = self._line(moment)
        self._last = moment
        if self._live is None:
            self._console.print(line, soft_wrap=True)
        else:
            self._live.update(self._bar(moment) + line, refresh=True)

    def _line(self, moment: Moment) -> Text:
        length_s = max(moment.at_s - self._last.at_s, 0.001)
        line = Text(f"{moment.at_s:4.0f} s  ", no_wrap=True, overflow="ellipsis")
        line.append("draining  " if moment.draining else "", "yellow")
        line.append(f"{(moment.accepted - self._last.accepted) / length_s:,.0f} enqueued/s  ", "cyan")
        line.append(f"{(moment.acked - self._last.acked) / length_s:,.0f} acked/s  ", "green")
        line.append(f"{moment.unsettled:,} not acked")
        line.append(_p99("enqueue", moment.enqueue_p99_ms) + _p99("dwell", moment.dwell_p99_ms), "dim")
        if moment.errors:
            line.append(f"  {moment.errors:,} errors", "red")
        return line

    def _bar(self, moment: Moment) -> Text:
        share = max(moment.at_s / self._plan.seconds, moment.accepted / self._plan.messages)
        full = BAR_CHARS if moment.draining else min(BAR_CHARS, int(share * BAR_CHARS))
        return (
            Text("", no_wrap=True, overflow="ellipsis")
            + Text("━" * full, "cyan")
            + Text("━" * (BAR_CHARS - full), "dim")
            + Text(" ")
        )


def _p99(what: str, latency_ms: float | None) -> str:
    return "" if latency_ms is None else f"  {what} p99 {latency_ms:,.1f} ms"
