"""SVG of the losses of a run beside those of the undivided run."""

from __future__ import annotations

import math
from collections.abc import Sequence

from solver.reporting import units
from solver.reporting.markup import Child, Markup, figure, join, tag
from solver.reporting.measured import Measured

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 560.0, 240.0, 62.0, 8.0, 12.0, 44.0


class _Scale:
    """Where steps and losses lie in the drawing."""

    def __init__(self, measured: Measured) -> None:
        both = [loss for loss in (*measured.losses, *measured.reference_losses) if math.isfinite(loss)]
        low, high = min(both, default=0.0), max(both, default=1.0)
        pad = 0.06 * (high - low) or 0.5
        self.low, self.high = low - pad, high + pad
        self.last = max(len(measured.losses), len(measured.reference_losses), 2) - 1

    def x(self, step: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * step / self.last

    def y(self, loss: float) -> float:
        return TOP + (HEIGHT - BOTTOM - TOP) * (self.high - loss) / (self.high - self.low)


def loss_figure(measured: Measured) -> Markup:
    """Return the curve; the undivided run lies under it as a wide band, so that both are seen.

    Parameters
    ----------
    measured
        A run with at least one loss. One that is no finite number leaves a gap.
    """
    scale = _Scale(measured)
    shapes: list[Child] = [*_axes(scale), *_changes(scale, measured)]
    for losses, look in ((measured.reference_losses, "reference"), (measured.losses, "own")):
        if path := _path(scale, losses):
            shapes.append(tag("path", d=path, class_=f"loss {look}"))
    shapes += _points(scale, measured)
    told = f"{len(measured.losses)} steps, from {measured.losses[0]:.6g} to {measured.losses[-1]:.6g}"
    keys = [tag("span", tag("span", class_="line own"), "this run", class_="key")]
    if measured.reference_losses:
        keys.append(tag("span", tag("span", class_="line reference"), "undivided run", class_="key"))
    if measured.changes:
        keys.append(tag("span", tag("span", class_="tick change"), "devices changed", class_="key"))
        told += "; " + "; ".join(f"before step {step + 1}: {what}" for step, what in measured.changes.items())
    drawing = figure("Loss by step", told, shapes, viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}", class_="losses")
    return join([tag("div", keys, class_="legend"), drawing])


def _axes(scale: _Scale) -> list[Child]:
    shapes: list[Child] = []
    for i in range(5):
        value = scale.low + (scale.high - scale.low) * i / 4
        y = scale.y(value)
        shapes.append(tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y, y2=y, class_="grid"))
        shapes.append(tag("text", units.digits(value), x=LEFT - 6, y=y + 4, class_="end small"))
    for step in sorted({round(scale.last * i / 4) for i in range(5)}):
        shapes.append(tag("text", step + 1, x=scale.x(step), y=HEIGHT - BOTTOM + 16, class_="mid small"))
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turned = f"rotate(-90 12 {middle:.0f})"
    shapes.append(tag("text", "step", x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 8, class_="mid small"))
    shapes.append(tag("text", "loss", x=12, y=middle, transform=turned, class_="mid small"))
    return shapes


def _changes(scale: _Scale, measured: Measured) -> list[Child]:
    """Return a line before every step at which devices left or came back."""
    shapes: list[Child] = []
    for step, what in measured.changes.items():
        x = scale.x(max(step - 0.5, 0))
        line = tag("line", x1=x, x2=x, y1=TOP, y2=HEIGHT - BOTTOM, class_="change")
        shapes.append(tag("g", tag("title", f"before step {step + 1}: {what}"), line))
    return shapes


def _path(scale: _Scale, losses: Sequence[float]) -> str:
    """Return the curve; a loss that is no finite number parts it."""
    path, pen = "", "M"
    for i, loss in enumerate(losses):
        if not math.isfinite(loss):
            pen = "M"
            continue
        path += f"{pen}{scale.x(i):.1f} {scale.y(loss):.1f}"
        pen = "L"
    return path


def _points(scale: _Scale, measured: Measured) -> list[Child]:
    shapes: list[Child] = []
    for i, loss in enumerate(measured.losses):
        if not math.isfinite(loss):
            continue
        tip = f"step {i + 1}: {loss!r}"
        if i < len(measured.reference_losses):
            tip += f", undivided {measured.reference_losses[i]!r}"
        radius = 3 if scale.last < 60 else 1.5
        x, y = scale.x(i), scale.y(loss)
        shapes.append(tag("circle", tag("title", tip), cx=x, cy=y, r=radius, class_="loss point"))
    return shapes
