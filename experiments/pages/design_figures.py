"""Figures of parallelism design: a map of the families that win, and what a number of micro-batches loses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import TYPE_CHECKING, Any

from experiments.frame.plots import COLUMN_IN, HATCHES, PAGE_IN, lines, panels, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LETTERS = {
    "single": "1",
    "data": "D",
    "sequence": "S",
    "tensor": "T",
    "pipeline": "P",
    "hybrid": "H",
    "any_mode": "A",
}
"""Written in the cells, so that the map is read without colours."""
TINTS = dict(
    zip(LETTERS, ("#d9dde2", "#f2b27f", "#7fc7b2", "#e3b6cf", "#8fb8dd", "#f3d58c", "#b3a8d4"), strict=True)
)


def map_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Return which family wins for every model, memory and bandwidth: a panel a cluster and objective.

    Parameters
    ----------
    rows
        With model, cluster, memory, mbit_per_s, objective and winner.
    """
    clusters = tuple(dict.fromkeys(row["cluster"] for row in rows))
    objectives = tuple(dict.fromkeys(row["objective"] for row in rows))
    with style():
        from matplotlib.patches import Patch

        size = {"width_in": PAGE_IN, "height_in": 2.1 * len(clusters) + 0.4}
        figure, axes = panels(len(clusters), len(objectives), **size)
        for a, (cluster, objective) in enumerate((c, o) for c in clusters for o in objectives):
            mine = [row for row in rows if (row["cluster"], row["objective"]) == (cluster, objective)]
            _map(axes[a], mine)
            axes[a].set_title(f"{cluster}, least {objective}")
        handles = [
            Patch(facecolor=TINTS[name], label=f"{sign}: {_plain(name)}") for name, sign in LETTERS.items()
        ]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles), columnspacing=1.0)
        return figure


def _plain(name: str) -> str:
    return {"hybrid": "hybrid, data only", "any_mode": "any mode a stage"}.get(name, name)


def _map(axes: Axes, rows: Sequence[Mapping[str, Any]]) -> None:
    from matplotlib.patches import Rectangle

    lines_of = list(dict.fromkeys((row["model"], row["memory"]) for row in rows))
    rates = list(dict.fromkeys(row["mbit_per_s"] for row in rows))
    for row in rows:
        x, y = rates.index(row["mbit_per_s"]), lines_of.index((row["model"], row["memory"]))
        winner = row["winner"]
        fill = {"facecolor": TINTS[winner]} if winner else {"facecolor": "white", "hatch": HATCHES[1]}
        axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, edgecolor="white", linewidth=1.5, **fill))
        axes.text(x, y, LETTERS[winner] if winner else "none fits", ha="center", va="center", fontsize=7)
    axes.set_xlim(-0.5, len(rates) - 0.5)
    axes.set_ylim(len(lines_of) - 0.5, -0.5)
    axes.set_xticks(range(len(rates)), [str(rate) for rate in rates])
    axes.set_yticks(range(len(lines_of)), [_line(model, memory) for model, memory in lines_of])
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("Mbit/s")


def _line(model: str, memory: float) -> str:
    return model if memory == 1 else f"{model}, {memory:.0%} memory"


def count_columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the columns ``micro_batches_K_s``, fewest first.

    Parameters
    ----------
    rows
        With such columns.
    """
    names = [name for name in rows[0] if name.startswith("micro_batches_")]
    return sorted(names, key=lambda name: int(name.split("_")[2]))


def caps_figure(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Return the mean loss of a fixed number of micro-batches, and of caps by rule, over bandwidth.

    Parameters
    ----------
    rows
        With ``micro_batches_K_s`` and ``caps_free_s``.
    """
    rates = tuple(dict.fromkeys(row["mbit_per_s"] for row in rows))
    columns = count_columns(rows)
    series: dict[str, list[float | None]] = {}
    for column in (*columns, "best number, caps by rule"):
        values: list[float | None] = []
        for rate in rates:
            mine = [row for row in rows if row["mbit_per_s"] == rate]
            found = [loss for row in mine if (loss := _loss(row, column, columns)) is not None]
            values.append(mean(found) if found else None)
        label = column.removeprefix("micro_batches_").removesuffix("_s")
        series[label if column == "best number, caps by rule" else f"{label} micro-batches"] = values
    with style():
        figure, (axes,) = panels(width_in=COLUMN_IN, height_in=2.6)
        label = "step time lost, %\n(linear to 10, logarithmic above)"
        lines(axes, rates, series, x_label="Mbit/s", y_label=label)
        axes.set_yscale("symlog", linthresh=10)
        axes.set_yticks([0, 5, 10, 30, 100], ["0", "5", "10", "30", "100"])
        axes.set_ylim(-0.5, 150)
        figure.legend(loc="outside upper center", ncols=2)
        return figure


def _loss(row: Mapping[str, Any], column: str, columns: Sequence[str]) -> float | None:
    by_rule = [row[name] for name in columns if row[name] is not None]
    value = min(by_rule, default=None) if column == "best number, caps by rule" else row[column]
    if value is None or row["caps_free_s"] is None:
        return None
    return round(100 * (value / row["caps_free_s"] - 1), 9)
