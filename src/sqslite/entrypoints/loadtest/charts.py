"""Lines over time as SVG: they need nothing but a browser."""

import math
from collections.abc import Callable, Sequence
from html import escape

from msgspec import Struct

WIDTH, HEIGHT = 880, 260
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 12, 28
TICKS = 4


class Line(Struct, frozen=True):
    """One line: what it shows, the class that gives it its colour, and a value for each instant, None: a gap."""

    name: str
    style: str
    values: Sequence[float | None]


def chart(at_s: Sequence[float], lines: Sequence[Line], unit: str, *, logarithmic: bool = False) -> str:
    """The lines over the instants, with a legend; where the pointer rests, all their values."""
    axis = _Axis([value for line in lines for value in line.values if value is not None], logarithmic)
    end_s = max([*at_s, 1.0])

    def x(second: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * second / end_s

    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(unit)} over time">']
    for value in axis.ticks:
        y = axis.y(value)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_short(value)}</text>')
    for second in _steps(end_s):
        parts.append(f'<text x="{x(second):.1f}" y="{HEIGHT - 8}" text-anchor="middle">{second:g} s</text>')
    for line in lines:
        for path in _paths(at_s, line.values, x, axis):
            parts.append(f'<path class="line {line.style}" d="{path}"/>')
    parts += _hovered(at_s, lines, x, unit)
    legend = "".join(f'<li><i class="{line.style}"></i>{escape(line.name)}</li>' for line in lines)
    return f'<ul class="legend">{legend}<li class="unit">{escape(unit)}</li></ul>{"".join(parts)}</svg>'


class _Axis:
    """Where values stand, on a scale with round numbers."""

    def __init__(self, values: Sequence[float], logarithmic: bool) -> None:
        self._logarithmic = logarithmic
        highest = max(values, default=0.0) or 1.0
        if logarithmic:
            positive = [value for value in values if value > 0] or [1.0]
            first, last = math.floor(math.log10(min(positive))), math.ceil(math.log10(highest))
            self.ticks = [10.0**power for power in range(first, max(last, first + 1) + 1)]
        else:
            step = _round_up(highest / TICKS)
            self.ticks = [step * place for place in range(math.ceil(highest / step) + 1)]

    def y(self, value: float) -> float:
        low, high = self._scaled(self.ticks[0]), self._scaled(self.ticks[-1])
        share = (self._scaled(max(value, self.ticks[0])) - low) / (high - low)
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self._logarithmic else value


def _paths(
    at_s: Sequence[float], values: Sequence[float | None], x: Callable[[float], float], axis: _Axis
) -> list[str]:
    """A path for each stretch without a gap."""
    paths: list[str] = []
    before: float | None = None
    for second, value in zip(at_s, values, strict=True):
        if value is not None:
            point = f"{x(second):.1f},{axis.y(value):.1f}"
            if before is None:
                paths.append(f"M{point} h0.1")
            else:
                paths[-1] += f" L{point}"
        before = value
    return paths


def _hovered(at_s: Sequence[float], lines: Sequence[Line], x: Callable[[float], float], unit: str) -> list[str]:
    """An invisible bar for each instant, which the browser explains where the pointer rests on it."""
    if len(at_s) < 2:
        return []
    width = x(at_s[1]) - x(at_s[0])
    bars = []
    for place, second in enumerate(at_s):
        said = [f"{line.name}: {_exact(line.values[place])}" for line in lines]
        title = escape("\n".join([f"{second:g} s, {unit}", *said]))
        bars.append(
            f'<rect class="hover" x="{x(second) - width / 2:.1f}" y="{TOP}" width="{width:.1f}"'
            f' height="{HEIGHT - TOP - BOTTOM}"><title>{title}</title></rect>'
        )
    return bars


def _steps(end_s: float) -> list[float]:
    step = _round_up(end_s / 8)
    return [step * place for place in range(math.floor(end_s / step) + 1)]


def _round_up(value: float) -> float:
    """The next round number: one of 1, 2 and 5 with a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= value * (1 - 1e-9))


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:g}"


def _exact(value: float | None) -> str:
    return "–" if value is None else f"{value:,.1f}"
