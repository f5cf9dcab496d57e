"""Front: non-dominated plans as a table and a picture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from solver.pareto import Front
from solver.problem import OBJECTIVES
from solver.reporting.objectives import in_words

if TYPE_CHECKING:
    from rich.console import Console

_INK, _LINE = "#222222", "#4477aa"


def picture(front: Front, path: Path) -> None:
    """Draw the first objective against each of the others.

    Parameters
    ----------
    front
        What was found.
    path
        The PNG.
    """
    from matplotlib.figure import Figure

    first, others = front.objectives[0], front.objectives[1:]
    figure = Figure(figsize=(6.4, 3.8 * len(others)), dpi=160, layout="constrained")
    for axes, other in zip(figure.subplots(len(others), 1, squeeze=False)[:, 0], others, strict=True):
        _draw(axes, front, first, other)
    figure.savefig(path)


def _draw(axes: Any, front: Front, first: str, other: str) -> None:
    points = sorted((point.figures[first], point.figures[other]) for point in front.points)
    x, y = [a for a, _ in points], [b for _, b in points]
    if len(front.objectives) == 2:
        axes.step(x, y, where="post", color=_LINE, linewidth=1, alpha=0.6)
    axes.plot(x, y, "o", color=_LINE, markersize=6)
    for place, (a, b) in enumerate(points):
        devices = len(_devices(front, place, first, other))
        axes.annotate(
            f"{devices} device{'s' if devices != 1 else ''}",
            (a, b),
            xytext=(6, 5),
            textcoords="offset points",
            fontsize=7.5,
            color=_INK,
        )
    axes.set_xlabel(_axis(first))
    axes.set_ylabel(_axis(other))
    axes.margins(0.12)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _devices(front: Front, place: int, first: str, other: str) -> set[str]:
    point = sorted(front.points, key=lambda p: (p.figures[first], p.figures[other]))[place]
    return {row.device for row in point.report.program.rows}


def _axis(objective: str) -> str:
    words, unit = OBJECTIVES[objective]
    return f"{words} ({unit})"


def print_front(console: Console, front: Front) -> None:
    """Print the table of a front.

    Parameters
    ----------
    console
        Where to.
    front
        What was found.
    """
    from rich.table import Table

    table = Table(title=f"{len(front.points)} non-dominated plan(s) of {front.num_searches} searches")
    table.add_column("plan", justify="right")
    for name in front.objectives:
        table.add_column(name, justify="right")
    table.add_column("devices", justify="right")
    table.add_column("found as")
    for i, point in enumerate(front.points):
        figures = [in_words(name, point.figures[name]) for name in front.objectives]
        devices = {row.device for row in point.report.program.rows}
        table.add_row(str(i + 1), *figures, str(len(devices)), point.found_by)
    console.print(table)
