"""SVG of the losses of a run beside those of the undivided run."""

from __future__ import annotations

from collections.abc import Sequence

from solver.reporting import units
from solver.reporting.markup import Child, Markup, figure, join, tag
from solver.reporting.measured import Measured

WIDTH, HEIGHT, LEFT, BOTTOM = 560.0, 220.0, 46.0, 30.0


def loss_figure(measured: Measured) -> Markup:
    """Return the curve; the undivided run lies under it as a wide band, so that both are seen.

    Parameters
    ----------
    measured
        A run with at least one loss.
    """
    both = [*measured.losses, *measured.reference_losses]
    low, high = min(both), max(both)
    pad = 0.06 * (high - low) or 0.5
    low, high = low - pad, high + pad
    last = max(len(measured.losses), len(measured.reference_losses), 2) - 1

    def points(losses: Sequence[float]) -> list[tuple[float, float]]:
        width, height = WIDTH - LEFT - 12, HEIGHT - BOTTOM - 8
        return [
            (LEFT + width * i / last, 8 + height * (high - loss) / (high - low))
            for i, loss in enumerate(losses)
        ]

    shapes: list[Child] = []
    for i in range(5):
        value = low + (high - low) * i / 4
        y = 8 + (HEIGHT - BOTTOM - 8) * (1 - i / 4)
        shapes.append(tag("line", x1=LEFT, x2=WIDTH - 12, y1=y, y2=y, class_="grid"))
        shapes.append(tag("text", units.digits(value), x=LEFT - 6, y=y + 4, class_="end small"))
    for step in sorted({round(last * i / 4) for i in range(5)}):
        x = LEFT + (WIDTH - LEFT - 12) * step / last
        shapes.append(tag("text", step + 1, x=x, y=HEIGHT - BOTTOM + 16, class_="mid small"))
    for losses, look in ((measured.reference_losses, "reference"), (measured.losses, "own")):
        if losses:
            path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points(losses))
            shapes.append(tag("path", d=path, class_=f"loss {look}"))
    for i, (x, y) in enumerate(points(measured.losses)):
        tip = f"step {i + 1}: {measured.losses[i]!r}"
        if i < len(measured.reference_losses):
            tip += f", undivided {measured.reference_losses[i]!r}"
        shapes.append(
            tag("circle", tag("title", tip), cx=x, cy=y, r=3 if last < 60 else 1.5, class_="loss point")
        )
    told = f"{len(measured.losses)} steps, from {measured.losses[0]:.6g} to {measured.losses[-1]:.6g}"
    keys = [tag("span", tag("span", class_="line own"), "this run", class_="key")]
    if measured.reference_losses:
        keys.append(tag("span", tag("span", class_="line reference"), "undivided run", class_="key"))
    drawing = figure("Loss by step", told, shapes, viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}", class_="losses")
    return join([tag("div", keys, class_="legend"), drawing])
