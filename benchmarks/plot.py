"""Bars of ratios to the reference broker on a logarithmic scale, as SVG."""

from html import escape
from math import log10

from benchmarks.kinds import BROKERS, REFERENCE
from benchmarks.results import Cells, ratio
from benchmarks.workloads import WORKLOADS

COLOURS = {
    "touchstone": "#1f77b4",
    "aedes": "#ff7f0e",
    "amqtt": "#9467bd",
    "rabbitmq": "#7f7f7f",
}
LOWEST, HIGHEST = -2, 2  # powers of ten that are drawn; what is beyond ends there
LABELS, WIDTH, BAR, GAP, TOP = 370, 460, 8, 8, 60  # pixels


def plotted() -> list[str]:
    """The workloads with most outstanding, and those that have no window."""
    names = [workload.name for workload in WORKLOADS if not workload.only]
    small = ("-w1", "-w20", "-w100")
    deeper = {name.rpartition("-")[0] for name in names if name.endswith("-w1000")}
    return [
        name for name in names if not (name.endswith(small) and name.rpartition("-")[0] in deeper)
    ]


def bars(cells: Cells, key: str, title: str) -> str:
    """A picture with a group of bars for each workload."""
    groups = [(name, _ratios(cells, name, key)) for name in plotted()]
    groups = [(name, ratios) for name, ratios in groups if ratios]
    titles = {workload.name: workload.title for workload in WORKLOADS}
    shown = [kind.name for kind in BROKERS if any(kind.name in ratios for _, ratios in groups)]
    parts = []
    y = TOP
    for name, ratios in groups:
        middle = y + len(ratios) * BAR / 2 + 4
        parts.append(_text(LABELS - 8, middle, titles[name], "end"))
        for broker, value in ratios.items():
            parts.append(_bar(y, value, COLOURS[broker]))
            y += BAR
        y += GAP
    axis = [_line(power, y) for power in range(LOWEST, HIGHEST + 1)]
    legend = []
    for index, broker in enumerate(shown):
        at = LABELS + index * 110
        legend.append(f'<rect x="{at}" y="26" width="10" height="10" fill="{COLOURS[broker]}"/>')
        legend.append(_text(at + 14, 35, broker))
    size = f'width="{LABELS + WIDTH + 60}" height="{y + 10}"'
    head = _text(8, 16, f"{title}; {REFERENCE} is 1, the scale logarithmic")
    body = "\n".join([head, *legend, *axis, *parts])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">\n'
        f'<rect width="100%" height="100%" fill="white"/>\n{body}\n</svg>\n'
    )


def _ratios(cells: Cells, workload: str, key: str) -> dict[str, float]:
    reference = cells.get((workload, REFERENCE))
    found = {}
    for kind in BROKERS:
        value = ratio(cells.get((workload, kind.name)), reference, key)
        if kind.name != REFERENCE and value:
            found[kind.name] = value
    return found


def _x(value: float) -> float:
    power = min(max(log10(value), LOWEST), HIGHEST)
    return LABELS + (power - LOWEST) / (HIGHEST - LOWEST) * WIDTH


def _bar(y: float, value: float, colour: str) -> str:
    start, end = sorted((_x(1.0), _x(value)))
    bar = f'<rect x="{start:.1f}" y="{y}" width="{max(end - start, 1):.1f}" height="{BAR - 1}"'
    label = f'<text x="{end + 3:.1f}" y="{y + BAR - 1}" font-size="8">{value:.3g}</text>'
    return f'{bar} fill="{colour}"/>{label}'


def _line(power: int, bottom: float) -> str:
    x = _x(10.0**power)
    colour = "#000" if power == 0 else "#ccc"
    line = f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{bottom}" stroke="{colour}"/>'
    return line + _text(x, TOP - 9, f"{10.0**power:g}", "middle")


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
