"""SVG bars: memory against limits, and energy, stacked by what they are made of, one row per device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from solver.report import Memory, Report
from solver.reporting import units
from solver.reporting.markup import Child, Markup, figure, join, tag
from solver.reporting.measured import Measured
from solver.reporting.palette import Palette

MEMORY = {
    "weights": "m-w",
    "gradients": "m-g",
    "optimizer": "m-o",
    "backups": "m-k",
    "runtime": "m-t",
    "activations": "m-a",
    "receive buffers": "m-r",
}
ENERGY = {"idle": "e-i", "compute": "e-c", "radio": "e-r"}
ROOM = 4.0
"""A limit is inside the picture if it is at most so many times the fullest device's peak."""


@dataclass(frozen=True)
class _Row:
    """One bar: its device, parts by name, text beside it, and marks (value, class, what it says)."""

    device: str
    parts: dict[str, float]
    text: Child
    marks: tuple[tuple[float, str, str], ...] = ()


def memory_figure(report: Report, measured: Measured | None, palette: Palette) -> Markup:
    """Return the peak memory of every device in use, against what it has.

    Parameters
    ----------
    report, measured, palette
        What is drawn.
    """
    counted = measured.peak_memory_bytes if measured is not None else {}
    most = max([float(report.peak_memory_bytes), *map(float, counted.values()), 1.0])
    shown = {name: part for name, part in report.memory.items() if part.peak_bytes or counted.get(name)}
    limits = [part.limit_bytes for part in shown.values() if part.limit_bytes <= ROOM * most]
    axis = max([most, *limits]) * 1.04
    rows = []
    for name, part in shown.items():
        marks = []
        if part.limit_bytes <= axis:
            marks.append((float(part.limit_bytes), "limit", f"limit {units.size(part.limit_bytes)}"))
        if name in counted:
            marks.append((float(counted[name]), "measured", f"measured {units.size(counted[name])}"))
        over = part.peak_bytes > part.limit_bytes
        words = f"{units.size(part.peak_bytes)} of {units.size(part.limit_bytes)}"
        share = part.peak_bytes / part.limit_bytes if part.limit_bytes else float("inf")
        told = tag("span", words, tag("small", f" {units.percent(share)}"), class_="over" if over else None)
        rows.append(_Row(name, _memory_parts(part), told, tuple(marks)))
    extra = []
    if any(part.limit_bytes <= axis for part in shown.values()):
        extra.append(("limit", "limit of the device"))
    if counted:
        extra.append(("measured", "measured peak"))
    off = [name for name, part in shown.items() if part.limit_bytes > axis]
    note = tag("p", f"Beyond the axis: the limit of {', '.join(off)}.", class_="note") if off else None
    return join([_bars("Peak memory", rows, MEMORY, axis, palette, units.size, extra), note])


def _memory_parts(part: Memory) -> dict[str, float]:
    sizes = (
        part.static.weight_bytes,
        part.static.gradient_bytes,
        part.static.optimizer_bytes,
        part.static.backup_bytes,
        part.static.runtime_bytes,
        part.activation_bytes,
        part.buffer_bytes,
    )
    return dict(zip(MEMORY, map(float, sizes), strict=True))


def energy_figure(report: Report, palette: Palette) -> Markup:
    """Return the modelled energy of every device in a step.

    Parameters
    ----------
    report, palette
        What is drawn.
    """
    steps = report.program.num_steps
    axis = max([part.total_j / steps for part in report.energy.values()] + [1e-12]) * 1.04
    rows = []
    for name, part in report.energy.items():
        parts = {
            "idle": part.idle_j / steps,
            "compute": part.compute_j / steps,
            "radio": part.radio_j / steps,
        }
        rows.append(_Row(name, parts, units.energy(part.total_j / steps)))
    return _bars("Energy of a step, modelled", rows, ENERGY, axis, palette, units.energy, [])


def _bars(
    name: str,
    rows: list[_Row],
    classes: dict[str, str],
    axis: float,
    palette: Palette,
    words: Callable[[float], str],
    extra: list[tuple[str, str]],
) -> Markup:
    """Draw stacked bars on one axis, with the legend of what occurs."""
    lines: list[Child] = []
    for row in rows:
        told = ", ".join(f"{key} {words(value)}" for key, value in row.parts.items() if value)
        shapes: list[Child] = [tag("rect", x=0, y=3, width="100%", height=18, class_="ground")]
        left = 0.0
        for key, value in row.parts.items():
            if value > 0:
                place = {"x": f"{100 * left / axis:.3f}%", "width": f"{100 * value / axis:.3f}%"}
                tip = tag("title", f"{row.device}: {key} {words(value)}")
                shapes.append(tag("rect", tip, y=3, height=18, class_=f"part {classes[key]}", **place))
                left += value
        for value, look, tip_text in row.marks:
            x = f"{100 * value / axis:.3f}%"
            shapes.append(tag("line", tag("title", tip_text), x1=x, x2=x, y1=0, y2=24, class_=f"mark {look}"))
        marks = "".join(f", {text}" for _, _, text in row.marks)
        bar = figure(f"{name}: {row.device}", told + marks, shapes, width="100%", height=24, class_="bar")
        label = tag("span", palette.swatch(row.device), row.device, class_="who")
        lines.append(tag("div", label, bar, tag("span", row.text, class_="figure"), class_="barrow"))
    used = {key for row in rows for key, value in row.parts.items() if value > 0}
    legend = [
        tag("span", tag("span", class_=f"swatch {look}", aria_hidden="true"), key, class_="key")
        for key, look in classes.items()
        if key in used
    ]
    legend += [
        tag("span", tag("span", class_=f"tick {look}", aria_hidden="true"), text, class_="key")
        for look, text in extra
    ]
    return tag("div", tag("div", legend, class_="legend"), lines, class_="bars")
