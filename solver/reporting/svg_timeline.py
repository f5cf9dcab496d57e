"""SVG of the timeline, predicted over measured on one time axis; the page's script zooms it."""

from __future__ import annotations

import math
from itertools import groupby

from solver.report import Report
from solver.reporting import units
from solver.reporting.gantt import UNIT, Gantt, gantt
from solver.reporting.markup import Child, Markup, embedded, figure, join, tag
from solver.reporting.measured import Measured
from solver.reporting.palette import Palette
from solver.reporting.tracks import describe

LEGEND = {
    "f": "forward",
    "b": "backward",
    "u": "update",
    "s": "send",
    "r": "receive",
    "c": "collective",
}
AXIS = 22
_KEYS = "Timeline: plus and minus zoom, arrow keys move, 0 shows the whole"
THIN = UNIT // 300
"""Spans shorter than that have no outline, which would hide them."""


def timeline_figure(report: Report, measured: Measured | None, palette: Palette) -> Markup:
    """Return the chart with legend, buttons and the data its script needs.

    Parameters
    ----------
    report, measured, palette
        What is drawn.
    """
    chart = gantt(report, measured)
    used = {span[0] for bar in chart.bars for span in bar.spans}
    legend = [
        tag("span", tag("span", class_=f"swatch k-{key}", aria_hidden="true"), name, class_="key")
        for key, name in LEGEND.items()
        if key in used
    ]
    buttons = [
        tag("button", sign, type="button", data_zoom=action, title=told, aria_label=told)
        for sign, action, told in (
            ("−", "out", "zoom out"),
            ("+", "in", "zoom in"),
            ("◂", "left", "earlier"),
            ("▸", "right", "later"),
            ("all", "all", "whole step"),
        )
    ]
    head = tag(
        "div", tag("div", legend, class_="legend"), tag("div", buttons, class_="buttons"), class_="charthead"
    )
    body = tag("div", _labels(chart, palette), _plot(chart, report, measured), class_="gantt", id="gantt")
    note = tag("p", chart.note, class_="note warn") if chart.note else None
    hint = tag(
        "p",
        "Drag across the chart to zoom, double-click for the whole; point at a span for details.",
        class_="note script",
    )
    return join([head, body, note, hint, embedded("spans", _data(chart, report))])


def _labels(chart: Gantt, palette: Palette) -> Markup:
    labels: list[Child] = []
    for device, own in groupby(chart.bars, key=lambda bar: bar.device):
        bars = list(own)
        sources = {
            source: next(b for b in bars if b.source == source)
            for source in dict.fromkeys(b.source for b in bars)
        }
        for i, (source, bar) in enumerate(sources.items()):
            name = tag("b", palette.swatch(device), device) if i == 0 else None
            labels.append(tag("div", name, tag("span", source), class_="lane", style=f"top:{bar.top}px"))
    return tag("div", labels, class_="labels", style=f"height:{chart.height + AXIS}px")


def _plot(chart: Gantt, report: Report, measured: Measured | None) -> Markup:
    """Draw spans as one path per row and kind: small, and the browser stretches it when zooming."""
    rows: list[Child] = []
    for bar in chart.bars:
        rows.append(tag("rect", x=0, y=bar.top, width=UNIT, height=bar.height, class_=f"ground {bar.source}"))
        for kind in dict.fromkeys(span[0] for span in bar.spans):
            own = [span for span in bar.spans if span[0] == kind]
            path = "".join(f"M{start} {bar.top}h{n}v{bar.height}h-{n}z" for _, start, n, _, _ in own)
            mean = sum(span[2] for span in own) // len(own)
            look = f"span k-{kind}" + (" thin" if mean < THIN else "")
            rows.append(tag("path", d=path, class_=look, data_mean=mean))
    plot = tag(
        "svg",
        rows,
        class_="plot",
        viewBox=f"0 0 {UNIT} {chart.height}",
        preserveAspectRatio="none",
        width="100%",
        height=chart.height,
    )
    told = f"Predicted: {units.seconds(report.round_time_s)}, {len(report.program):,} instructions."
    if measured is not None:
        told += f" Measured: step {measured.step} of the run, {measured.mode}."
    drawing = figure(
        "Timeline",
        told,
        tag("g", _ticks(chart), class_="ticks"),
        plot,
        tag("g", class_="marks"),
        width="100%",
        height=chart.height + AXIS,
        class_="timeline",
    )
    return tag("div", drawing, class_="plotbox", tabindex=0, role="group", aria_label=_KEYS)


def _ticks(chart: Gantt) -> list[Markup]:
    """Mark round times; without the script they are all there is."""
    step = 10.0 ** math.floor(math.log10(chart.span_s / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if chart.span_s / (step * factor) <= 8)
    found = []
    for i in range(math.floor(chart.span_s / step) + 1):
        x = f"{100 * i * step / chart.span_s:.3f}%"
        line = tag("line", x1=x, x2=x, y1=0, y2=chart.height)
        anchor = "first" if i == 0 else "last" if i * step > 0.97 * chart.span_s else "mid"
        found += [line, tag("text", units.seconds(i * step), x=x, y=chart.height + 15, class_=anchor)]
    return found


def _data(chart: Gantt, report: Report) -> object:
    """Return what the script needs to name spans and to write micro-batch numbers on them."""
    rows = sorted({span[3] for bar in chart.bars for span in bar.spans if span[3] >= 0})
    number = {row: i for i, row in enumerate(rows)}
    return {
        "span_s": chart.span_s,
        "height": chart.height,
        "kinds": LEGEND,
        "rows": [describe(report.program.rows[row]) for row in rows],
        "bars": [
            {
                "name": f"{bar.device}, {bar.name}, {bar.source}",
                "y": bar.top,
                "h": bar.height,
                "v": [[a, n, number.get(row, -1), batch] for _, a, n, row, batch in bar.spans],
                "k": "".join(span[0] for span in bar.spans),
            }
            for bar in chart.bars
        ],
    }
