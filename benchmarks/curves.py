"""Curves over a size, both scales logarithmic, as SVG: what is flat is seen to be."""

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10

COLOURS = ("#1f77b4", "#ff7f0e", "#2ca02c", "#9467bd")
LEFT, WIDTH, TOP, HEIGHT = 70, 560, 60, 240  # pixels
Curve = Sequence[tuple[float, float]]


def curves(series: Mapping[str, Curve], title: str, below: str) -> str:
    """A picture with one curve for each series; `below` says what the sizes are."""
    points = [point for curve in series.values() for point in curve]
    across = _Scale([x for x, _ in points], LEFT, LEFT + WIDTH)
    upwards = _Scale([y for _, y in points], TOP + HEIGHT, TOP)
    parts = [_text(8, 18, f"{title}; both scales logarithmic")]
    for power in across.powers():
        x = across.at(10.0**power)
        parts.append(_line(x, TOP, x, TOP + HEIGHT))
        parts.append(_text(x, TOP + HEIGHT + 16, f"{10**power:,}", "middle"))
    for power in upwards.powers():
        y = upwards.at(10.0**power)
        parts.append(_line(LEFT, y, LEFT + WIDTH, y))
        parts.append(_text(LEFT - 6, y + 4, f"{10.0**power:,g}", "end"))
    parts.append(_text(LEFT + WIDTH / 2, TOP + HEIGHT + 36, below, "middle"))
    at = LEFT
    for colour, (name, curve) in zip(COLOURS, series.items(), strict=False):
        parts.append(f'<rect x="{at}" y="30" width="10" height="10" fill="{colour}"/>')
        parts.append(_text(at + 14, 39, name))
        at += 30 + 7 * len(name)
        places = [(across.at(x), upwards.at(y)) for x, y in curve]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>' for x, y in places]
    size = f'width="{LEFT + WIDTH + 50}" height="{TOP + HEIGHT + 50}"'
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


class _Scale:
    """From values to pixels, in whole powers of ten."""

    def __init__(self, values: list[float], start: float, end: float) -> None:
        self.lowest = floor(log10(min(values)))
        self.highest = max(ceil(log10(max(values))), self.lowest + 1)
        self.start, self.end = start, end

    def powers(self) -> range:
        return range(self.lowest, self.highest + 1)

    def at(self, value: float) -> float:
        part = (log10(value) - self.lowest) / (self.highest - self.lowest)
        return self.start + part * (self.end - self.start)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    places = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {places} stroke="#ccc"/>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
