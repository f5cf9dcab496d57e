"""SVG of non-dominated plans: one objective against another; every point is a link to its plan."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from solver.reporting.markup import Child, Markup, figure, tag

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720.0, 400.0, 84.0, 26.0, 18.0, 52.0
NUM_TICKS = 6


class Point(NamedTuple):
    """A point of the plot.

    Parameters
    ----------
    x, y
        Figures of the two objectives, in their units.
    target
        Where it leads: identity of an element of the page.
    label
        Short text beside it.
    told
        A sentence, shown when pointed at and read aloud.
    """

    x: float
    y: float
    target: str
    label: str
    told: str


class Axis:
    """Figures along one side of the plot.

    Parameters
    ----------
    values
        Figures that must lie on it.
    start, end
        Where it begins and ends in the drawing.
    """

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        low, high = min(values), max(values)
        pad = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
        self.low, self.high = max(low - pad, 0.0) if low >= 0 else low - pad, high + pad
        self.start, self.end = start, end

    def place(self, value: float) -> float:
        """Return where a figure lies in the drawing."""
        return self.start + (self.end - self.start) * (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Return round figures on it: 1, 2 or 5 times a power of ten apart."""
        least = (self.high - self.low) / NUM_TICKS
        power = 10.0 ** math.floor(math.log10(least))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


Words = Callable[[float], str]


def front_figure(
    points: Sequence[Point], names: tuple[str, str], words: tuple[Words, Words], *, is_stepped: bool
) -> Markup:
    """Return the plot of two objectives, both smaller is better.

    Parameters
    ----------
    points
        At least one.
    names
        What the axes show.
    words
        How figures are said on each axis.
    is_stepped
        Whether a line joins the points: nothing known lies below it.
    """
    x = Axis([point.x for point in points], LEFT, WIDTH - RIGHT)
    y = Axis([point.y for point in points], HEIGHT - BOTTOM, TOP)
    shapes: list[Child] = [*_grid(x, y, words), *_titles(names)]
    ordered = sorted(points, key=lambda point: (point.x, point.y))
    if is_stepped and len(ordered) > 1:
        shapes.append(tag("path", d=_steps(x, y, ordered), class_="frontier"))
    shapes += [_link(x, y, point) for point in ordered]
    told = f"{len(points)} plans; " + "; ".join(point.told for point in ordered)
    name = f"{names[1]} against {names[0]}"
    # Not an image to assistive technology: its points are links.
    drawing = figure(name, told, shapes, viewBox=f"0 0 {WIDTH:.0f} {HEIGHT:.0f}", class_="front")
    return Markup(drawing.replace(' role="img"', ' role="group"', 1))


def _grid(x: Axis, y: Axis, words: tuple[Words, Words]) -> list[Child]:
    shapes: list[Child] = []
    for value in x.ticks():
        at = x.place(value)
        shapes.append(tag("line", x1=at, x2=at, y1=y.end, y2=y.start, class_="grid"))
        shapes.append(tag("text", words[0](value), x=at, y=y.start + 18, class_="mid small"))
    for value in y.ticks():
        at = y.place(value)
        shapes.append(tag("line", x1=x.start, x2=x.end, y1=at, y2=at, class_="grid"))
        shapes.append(tag("text", words[1](value), x=x.start - 8, y=at + 4, class_="end small"))
    return shapes


def _titles(names: tuple[str, str]) -> list[Child]:
    middle = (TOP + HEIGHT - BOTTOM) / 2
    turned = f"rotate(-90 16 {middle:.0f})"
    return [
        tag("text", names[0], x=(LEFT + WIDTH - RIGHT) / 2, y=HEIGHT - 10, class_="mid"),
        tag("text", names[1], x=16, y=middle, transform=turned, class_="mid"),
    ]


def _steps(x: Axis, y: Axis, ordered: Sequence[Point]) -> str:
    path = f"M{x.place(ordered[0].x):.1f} {y.place(ordered[0].y):.1f}"
    for point in ordered[1:]:
        path += f"H{x.place(point.x):.1f}V{y.place(point.y):.1f}"
    return path


def _link(x: Axis, y: Axis, point: Point) -> Markup:
    across, down = x.place(point.x), y.place(point.y)
    inside = WIDTH - RIGHT - across > 24
    label = tag(
        "text",
        point.label,
        x=across + (11 if inside else -11),
        y=down - 8,
        class_="halo" if inside else "halo end",
    )
    return tag(
        "a",
        tag("title", point.told),
        tag("circle", cx=across, cy=down, r=16, class_="reach"),
        tag("circle", cx=across, cy=down, r=6.5, class_="dot"),
        label,
        href=f"#{point.target}",
        aria_label=point.told,
        class_="point",
    )
