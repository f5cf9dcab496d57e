"""Figures of cet_participants: what rules lose, and what boards are worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import TYPE_CHECKING, Any

from experiments.frame.plots import PAGE_IN, bar_legend, bars, heat, panels, style
from experiments.frame.tables import number

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]
SHOWN = {
    "single": "best single",
    "all": "all",
    "fastest_half": "fastest half",
    "most_memory_half": "roomiest half",
    "random_half": "random half",
    "asteroid": "Asteroid",
}
"""Rules of the figure, and how it names them."""
NAMES = {
    ("time", "idle"): "step time",
    ("energy", "idle"): "energy, left-out idle",
    ("energy", "off"): "energy, left-out off",
}
DARKEST = 100.0
"""Loss in percent from which cells are as dark as can be."""


def regimes_of(rows: Rows) -> list[tuple[str, str]]:
    """Return the pairs of objective and what left-out boards do, in their order."""
    return list(dict.fromkeys((row["objective"], row["left_out"]) for row in rows))


def mean_loss(rows: Rows, rule: str) -> float | None:
    """Return the mean loss of a rule over rows in which its group has a plan; ``None`` without any."""
    losses = [row[f"{rule}_percent"] for row in rows if row[f"{rule}_percent"] is not None]
    return mean(losses) if losses else None


def loss_figure(rows: Rows) -> Figure:
    """Draw what every rule loses, a cluster a line, a panel for every regime.

    Parameters
    ----------
    rows
        A row a case.
    """
    clusters = list(dict.fromkeys(row["cluster"] for row in rows))
    regimes = regimes_of(rows)
    with style():
        height = 1.3 + 0.24 * len(clusters)
        figure, every = panels(1, len(regimes), width_in=PAGE_IN, height_in=height, sharey=True)
        for axes, regime in zip(every, regimes, strict=True):
            values = [
                [
                    mean_loss(
                        [r for r in rows if r["cluster"] == c and (r["objective"], r["left_out"]) == regime],
                        rule,
                    )
                    for rule in SHOWN
                ]
                for c in clusters
            ]
            texts = [["no plan" if v is None else number(abs(v), 2) for v in line] for line in values]
            capped = [[None if v is None else min(v, DARKEST) for v in line] for line in values]
            heat(axes, capped, columns=list(SHOWN.values()), rows=clusters, texts=texts, largest=DARKEST)
            axes.set_title(NAMES[regime])
            axes.set_xticks(range(len(SHOWN)), list(SHOWN.values()), rotation=50, ha="right")
        figure.supxlabel("worse than the best group by, %; darkest from 100 % on", fontsize=7.5)
    return figure


def worth_figure(worth: Rows, clusters: Sequence[str], workload: str) -> Figure:
    """Draw each board's share of what all together reach, by step time and by energy.

    Parameters
    ----------
    worth
        A row a board and case.
    clusters, workload
        What is shown.
    """
    regimes = regimes_of(worth)
    with style():
        figure, every = panels(1, len(clusters), width_in=PAGE_IN, height_in=2.5)
        for axes, cluster in zip(every, clusters, strict=True):
            mine = [row for row in worth if row["cluster"] == cluster and row["workload"] == workload]
            devices = list(dict.fromkeys(row["device"] for row in mine))
            shares = {(r["device"], (r["objective"], r["left_out"])): r["share_percent"] for r in mine}
            stacks = {NAMES[g]: [{"": shares[device, g]} for device in devices] for g in regimes}
            bars(axes, devices, stacks, y_label="share of samples per s or J, %")
            axes.set_title(cluster)
            axes.axhline(0, color="#5b6572", linewidth=0.6)
            axes.set_xticks(range(len(devices)), devices, rotation=40, ha="right")
        bar_legend(figure, [NAMES[g] for g in regimes])
    return figure
