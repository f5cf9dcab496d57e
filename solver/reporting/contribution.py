"""Contribution: what each device is worth, as a table and as bars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from solver.participation.contribution import Contribution, ObjectiveWorth
from solver.problem import OBJECTIVES
from solver.reporting.objectives import in_words

if TYPE_CHECKING:
    from rich.console import Console

_INK, _BAR, _LESS = "#222222", "#0072b2", "#d55e00"


def print_contribution(console: Console, made: Contribution) -> None:
    """Print a table for every objective.

    Parameters
    ----------
    console
        Where to.
    made
        What devices are worth.
    """
    from rich.table import Table

    how = "all groups" if made.method == "exact" else f"{made.num_orders} orders of devices"
    console.print(
        f"Shapley values over {how}, planned for by {made.solver} with {made.work_limit} units of work each; "
        f"left-out devices are {made.left_out}"
    )
    for name, worth in made.objectives.items():
        what = OBJECTIVES[name][0]
        best = "no plan" if worth.cost is None else in_words(name, worth.cost)
        console.print(f"{what}: {best} with {', '.join(worth.chosen) or 'nobody'}")
        console.print(f"saved against {in_words(name, worth.reference)}, the dearest group that can train")
        table = Table()
        for word in ("device", "saved", "share", f"samples per {worth.unit}"):
            table.add_column(word, justify="left" if word == "device" else "right")
        total = sum(one.rate for one in worth.devices)
        for one in worth.devices:
            saved = _signed(name, one.saved) + _error(one.saved_error)
            share = f"{100 * one.rate / total:.1f} %" if total else ""
            table.add_row(one.device, saved, share, f"{one.rate:.4g}{_error(one.rate_error)}")
        console.print(table)


def _signed(name: str, value: float) -> str:
    return ("-" if value < 0 else "") + in_words(name, abs(value))


def _error(value: float) -> str:
    return f" ± {value:.2g}" if value else ""


def picture(made: Contribution, path: Path) -> None:
    """Draw bars of what every device saves, an objective beside the other.

    Parameters
    ----------
    made
        What devices are worth.
    path
        The PNG.
    """
    from matplotlib.figure import Figure

    num = len(made.objectives)
    rows = max(len(worth.devices) for worth in made.objectives.values())
    figure = Figure(figsize=(1 + 4.2 * num, 1.2 + 0.34 * rows), dpi=160, layout="constrained")
    every = figure.subplots(1, num, squeeze=False, sharey=True)[0]
    for axes, (name, worth) in zip(every, made.objectives.items(), strict=True):
        _draw(axes, name, worth)
    every[0].invert_yaxis()  # shared: the first device is on top
    figure.savefig(path, metadata={"Software": None})


def _draw(axes: Any, name: str, worth: ObjectiveWorth) -> None:
    names = [one.device for one in worth.devices]
    values = [one.saved for one in worth.devices]
    errors = [one.saved_error for one in worth.devices]
    bars = axes.barh(
        names,
        values,
        xerr=errors if any(errors) else None,
        color=[_BAR if value >= 0 else _LESS for value in values],
        height=0.62,
        ecolor=_INK,
    )
    axes.bar_label(bars, [_signed(name, value) for value in values], padding=4, fontsize=8, color=_INK)
    axes.margins(x=0.22)
    axes.axvline(0, color=_INK, linewidth=0.8)
    axes.set_xlabel(f"what it saves of the {OBJECTIVES[name][0]} ({worth.unit})")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
