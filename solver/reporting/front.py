"""Front: non-dominated plans as a folder of plans, a table and a picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.document import write_text
from models.errors import Fault, InputError
from solver.pareto import Front
from solver.problem import OBJECTIVES
from solver.reporting import units

if TYPE_CHECKING:
    from rich.console import Console

_INK, _LINE = "#222222", "#4477aa"

_WORDS: dict[str, Callable[[float], str]] = {
    "s": units.seconds,
    "J": units.energy,
    "bytes": units.size,
}


def in_words(objective: str, value: float) -> str:
    """Return the figure of an objective with its unit."""
    return _WORDS[OBJECTIVES[objective][1]](value)


def write_front(out: Path, front: Front, *, overwrite: bool = False) -> None:
    """Write every plan, ``front.json`` and ``front.png`` into a folder.

    Parameters
    ----------
    out
        The folder.
    front
        What was found.
    overwrite
        Whether files may be replaced.

    Raises
    ------
    InputError
        If one of the files exists and may not be replaced; then nothing is written.
    """
    names = [f"plan_{i + 1:02d}.json" for i in range(len(front.points))]
    taken = [name for name in (*names, "front.json", "front.png") if (out / name).exists()]
    if taken and not overwrite:
        raise InputError([Fault("--out", f"{out / name} exists; give another name") for name in taken])
    out.mkdir(parents=True, exist_ok=True)
    for stale in out.glob("plan_[0-9][0-9].json") if overwrite else ():
        if stale.name not in names:
            stale.unlink()
    for name, point in zip(names, front.points, strict=True):
        write_text(out / name, point.plan.to_json(), overwrite=overwrite)
    data = front.to_json()
    for name, row in zip(names, data["points"], strict=True):
        row["plan"] = name
    write_text(out / "front.json", json.dumps(data, indent=1, allow_nan=False) + "\n", overwrite=overwrite)
    picture(front, out / "front.png")


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
