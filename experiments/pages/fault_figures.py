"""Figures of fault tolerance: what is kept by how often boards fail, and which way keeps most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.frame.plots import PAGE_IN, line_legend, lines, panels, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WAYS = ("restart", "one board", "copies", "replicas")
LETTERS = {"restart": "R", "one board": "1", "copies": "C", "replicas": "P"}
TINTS = dict(zip(WAYS, ("#f2b27f", "#d9dde2", "#8fb8dd", "#7fc7b2"), strict=True))
KEPT_OF = "jetson_mixed"
"""The cluster of which all ways are drawn: four unequal boards."""
Row = Mapping[str, Any]


def duration(seconds: float) -> str:
    """Return a duration in the unit that suits it."""
    for unit, size in (("d", 86_400), ("h", 3600)):
        if seconds >= size:
            return f"{seconds / size:g} {unit}"
    return f"{seconds / 60:g} min"


def kept_figure(rows: Sequence[Row]) -> Figure:
    """Return the part kept by every way over the mean time between failures, a panel a job and network.

    Parameters
    ----------
    rows
        With job, cluster, mbit_per_s, way, mtbf_s and kept; four unequal boards are shown.
    """
    mine = [row for row in rows if row["cluster"] == KEPT_OF]
    cases = list(dict.fromkeys((row["job"], row["mbit_per_s"]) for row in mine))
    hours = list(dict.fromkeys(row["mtbf_s"] for row in mine))
    columns = min(4, len(cases))
    looks = {way: i for i, way in enumerate(WAYS)}
    with style():
        size = {"width_in": PAGE_IN, "height_in": 1.75 * -(-len(cases) // columns) + 0.5}
        figure, axes = panels(-(-len(cases) // columns), columns, sharex=True, sharey=True, **size)
        for one, (job, rate) in zip(axes, sorted(cases, key=lambda case: case[1]), strict=True):
            by_way = {
                way: [
                    row["kept"]
                    for row in mine
                    if (row["job"], row["mbit_per_s"], row["way"]) == (job, rate, way)
                ]
                for way in WAYS
            }
            series = {way: values for way, values in by_way.items() if values}
            lines(one, hours, series, x_label="", y_label="", looks=looks)
            one.set_xticks(hours, [duration(x) for x in hours], rotation=60, fontsize=6)
            one.set_title(f"{job}, {rate} Mbit/s", fontsize=7)
            one.set_ylim(0, 1.02)
        figure.supylabel("part of the step rate kept", fontsize=7.5)
        figure.supxlabel(f"mean time between failures of one board, {KEPT_OF}", fontsize=7.5)
        line_legend(figure, WAYS, looks)
        return figure


def ways_figure(rows: Sequence[Row]) -> Figure:
    """Return the way that keeps most for every case and mean time between failures.

    Parameters
    ----------
    rows
        As for :func:`kept_figure`, of all clusters.
    """
    from matplotlib.patches import Patch

    clusters = list(dict.fromkeys(row["cluster"] for row in rows))
    with style():
        cases = {(row["job"], row["mbit_per_s"]) for row in rows}
        size = {"width_in": PAGE_IN, "height_in": 0.24 * len(cases) + 1.2}
        figure, axes = panels(1, len(clusters), **size)
        for one, cluster in zip(axes, clusters, strict=True):
            _map(one, [row for row in rows if row["cluster"] == cluster])
            one.set_title(cluster)
        axes[-1].set_yticklabels([])
        handles = [Patch(facecolor=TINTS[way], label=f"{sign}: {way}") for way, sign in LETTERS.items()]
        figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
        return figure


def _map(axes: Axes, rows: Sequence[Row]) -> None:
    from matplotlib.patches import Rectangle

    cases = list(dict.fromkeys((row["job"], row["mbit_per_s"]) for row in rows))
    hours = list(dict.fromkeys(row["mtbf_s"] for row in rows))
    for y, case in enumerate(cases):
        for x, mtbf_s in enumerate(hours):
            here = [r for r in rows if (r["job"], r["mbit_per_s"]) == case and r["mtbf_s"] == mtbf_s]
            most = max(here, key=lambda row: row["kept"])
            look = {"facecolor": TINTS[most["way"]], "edgecolor": "white", "linewidth": 1.2}
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, **look))
            axes.text(
                x, y, f"{LETTERS[most['way']]} {most['kept']:.2f}", ha="center", va="center", fontsize=6
            )
    axes.set_xlim(-0.5, len(hours) - 0.5)
    axes.set_ylim(len(cases) - 0.5, -0.5)
    axes.set_xticks(range(len(hours)), [duration(x) for x in hours], fontsize=6)
    axes.set_yticks(range(len(cases)), [f"{job}, {rate}" for job, rate in cases], fontsize=6)
    axes.tick_params(length=0)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("mean time between failures of one board")
