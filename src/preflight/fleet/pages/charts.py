"""Charts as SVG that the server draws: no script, no style of their own, their colours are the style sheet's.

Libraries were looked at and left (docs/decisions/own-charts.md): what they write brings styles and scripts along that
the pages' Content-Security-Policy forbids.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import NamedTuple

from markupsafe import Markup, escape

from preflight.fleet.entry import DAY_MS
from preflight.fleet.query.window import instant, length

WIDTH, HEIGHT = 640, 180
LEFT, RIGHT, TOP, BOTTOM = 66, 10, 10, 26
INNER_W, INNER_H = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM


class Line(NamedTuple):
    """A line: its name, its class in the style sheet, and a value for each place, None where there is none."""

    name: str
    style: str
    values: Sequence[float | None]


class Bar(NamedTuple):
    """A span of time in a row of a time line; ``end_ms`` equal to ``begin_ms`` is a mark."""

    begin_ms: int
    end_ms: int
    style: str
    text: str


class Lane(NamedTuple):
    """A row of a time line."""

    name: str
    bars: Sequence[Bar]


def lines(title: str, at_ms: Sequence[int], its: Sequence[Line], unit: str = "ms") -> Markup:
    """Return a chart of lines over time; a gap stays a gap."""
    top = nice(max((value for line in its for value in line.values if value is not None), default=0))
    parts = [_axis(top, unit), _times(at_ms)]
    step = INNER_W / max(len(at_ms) - 1, 1)
    for line in its:
        path, pen = [], False
        dots = []
        for at, value in enumerate(line.values):
            if value is None:
                pen = False
                continue
            x, y = LEFT + at * step, TOP + INNER_H * (1 - value / top)
            path.append(f"{'L' if pen else 'M'}{x:.1f} {y:.1f}")
            if not pen and (at + 1 == len(line.values) or line.values[at + 1] is None):
                dots.append(f'<circle class="dot {line.style}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>')
            pen = True
        parts.append(f'<path class="line {line.style}" d="{"".join(path)}"/>{"".join(dots)}')
    return _svg(title, "".join(parts))


def bars(title: str, at_ms: Sequence[int], stacks: Sequence[Line]) -> Markup:
    """Return a chart of stacked bars, one for each time."""
    totals = [sum(stack.values[at] or 0 for stack in stacks) for at in range(len(at_ms))]
    top = nice(max(totals, default=0))
    step = INNER_W / max(len(at_ms), 1)
    parts = [_axis(top, ""), _times(at_ms, centred=True)]
    for at, when in enumerate(at_ms):
        base = 0.0
        said = ", ".join(f"{stack.values[at]:,.0f} {stack.name}" for stack in stacks if stack.values[at])
        column = []
        for stack in stacks:
            value = stack.values[at] or 0
            if value:
                high = INNER_H * value / top
                y = TOP + INNER_H * (1 - base / top) - high
                x, wide = LEFT + at * step + step * 0.12, step * 0.76
                column.append(
                    f'<rect class="b {stack.style}" x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{high:.1f}"/>'
                )
                base += value
        if column:
            parts.append(f"<g><title>{_day(when)}: {escape(said)}</title>{''.join(column)}</g>")
    return _svg(title, "".join(parts))


def timeline(title: str, begin_ms: int, end_ms: int, lanes: Sequence[Lane]) -> Markup:
    """Return rows of spans and marks over one stretch of time."""
    high, left, across = 24, 96, 960
    tall = len(lanes) * high + BOTTOM
    wide = across - left - RIGHT

    def place(ms: int) -> float:
        return left + wide * min(1.0, max(0.0, (ms - begin_ms) / max(end_ms - begin_ms, 1)))

    parts = []
    for row, lane in enumerate(lanes):
        y = row * high
        parts.append(f'<text class="tick" x="0" y="{y + 16}">{escape(lane.name)}</text>')
        parts.append(f'<path class="rule" d="M{left} {y + high - 0.5}H{across - RIGHT}"/>')
        for bar in lane.bars:
            x, end = place(bar.begin_ms), place(bar.end_ms)
            w = max(end - x, 3.0)
            parts.append(
                f'<rect class="b {bar.style}" x="{min(x, across - RIGHT - w):.1f}" y="{y + 4}" width="{w:.1f}" '
                f'height="{high - 8}" rx="1.5"><title>{escape(bar.text)}</title></rect>'
            )
    for at in range(5):
        ms = begin_ms + (end_ms - begin_ms) * at // 4
        anchor = ("start", "middle", "middle", "middle", "end")[at]
        parts.append(
            f'<text class="tick" x="{place(ms):.1f}" y="{tall - 8}" text-anchor="{anchor}">'
            f"{_when(ms, end_ms - begin_ms)}</text>"
        )
    return _svg(title, "".join(parts), tall, across)


def nice(value: float) -> float:
    """Return the least of 1, 2, 2.5 or 5 times a power of ten that is not below ``value``."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    return next((power * one for one in (1, 2, 2.5, 5) if power * one >= value), power * 10)


def spans(begin_ms: int, end_ms: int) -> str:
    """Return a span of time in words, for a mark's text."""
    return f"{instant(begin_ms)}, {length(end_ms - begin_ms)}"


def _svg(title: str, content: str, height: int = HEIGHT, width: int = WIDTH) -> Markup:
    return Markup(
        f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title)}">{content}</svg>'
    )


def _axis(top: float, unit: str) -> str:
    parts = []
    for share in (0, 0.5, 1):
        y = TOP + INNER_H * (1 - share)
        value = top * share
        text = f"{value:,.0f}" if value == int(value) else f"{value:,.1f}"
        parts.append(f'<path class="rule" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>')
        parts.append(
            f'<text class="tick" x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{text}{" " + unit if unit else ""}'
            "</text>"
        )
    return "".join(parts)


def _times(at_ms: Sequence[int], centred: bool = False) -> str:
    if not at_ms:
        return ""
    wanted = sorted({round(at * (len(at_ms) - 1) / 4) for at in range(5)})
    step = INNER_W / max(len(at_ms) if centred else len(at_ms) - 1, 1)
    parts = []
    for at in wanted:
        x = LEFT + at * step + (step / 2 if centred else 0)
        edge = "end" if at == len(at_ms) - 1 and at and not centred else "middle"
        text = _when(at_ms[at], at_ms[-1] - at_ms[0] if not centred else 1 << 50)
        parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="{edge}">{text}</text>')
    return "".join(parts)


def _when(ms: int, span_ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, timezone.utc).strftime("%H:%M" if span_ms <= 2 * DAY_MS else "%m-%d")


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, timezone.utc).strftime("%Y-%m-%d")
