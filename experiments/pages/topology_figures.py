"""Figures of device order: how much all orders lose, where the rules stand, and rings beside stars."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import mean
from typing import TYPE_CHECKING, Any

from experiments.frame.plots import COLOURS, MARKERS, PAGE_IN, SOFT, line_legend, panels, plain_log, style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Row = Mapping[str, Any]


NETWORK_AXIS = "network, Mbit/s (AP: access point, rooms: the bridge between, mixed: 50 to 1000)"


def network_label(name: str) -> str:
    """Return a network's name on two lines."""
    kind, _, rate = name.partition("_")
    words = {"switch": "switch", "shared": "AP", "rooms": "rooms", "mixed": "mixed"}
    if kind != "mixed":
        return f"{words[kind]}\n{rate}"
    return f"mixed\ndraw {rate}" if rate else "mixed"


def orders_figure(
    rows: Sequence[Row], kinds: Sequence[str], rules: Sequence[str], kind_of: Callable[[Row], str]
) -> Figure:
    """Return the loss of all orders as boxes, and the mean loss of every rule as marks.

    Parameters
    ----------
    rows
        With ``losses``, percent, of all orders.
    kinds, rules
        From left to right; what is marked.
    kind_of
        The kind of a row's network.
    """
    with style():
        figure, axes = panels(1, 2, width_in=PAGE_IN, height_in=2.7, sharey=True)
        for one, family in zip(axes, ("pipeline", "hybrid"), strict=True):
            mine = [row for row in rows if row["family"] == family and row["orders_fit"]]
            by_kind = [[row for row in mine if kind_of(row) == kind] for kind in kinds]
            _boxes(one, [[loss for row in group for loss in row["losses"]] for group in by_kind])
            _marks(one, by_kind, rules)
            one.set_xticks(range(len(kinds)), [network_label(kind) for kind in kinds])
            one.set_title(
                {"pipeline": "one device a stage", "hybrid": "groups, by Asteroid's programme"}[family]
            )
        axes[0].set_ylabel("step time lost against best order, %\n(linear to 10, logarithmic above)")
        figure.supxlabel(NETWORK_AXIS, fontsize=7)
        line_legend(figure, [rule.replace("_", " ") for rule in rules])
        return figure


def _boxes(axes: Axes, losses: Sequence[Sequence[float]]) -> None:
    grey = {"color": SOFT, "linewidth": 0.8}
    axes.boxplot(
        losses,
        positions=range(len(losses)),
        widths=0.55,
        whis=(0, 100),
        medianprops=grey,
        boxprops=grey,
        whiskerprops=grey,
        capprops=grey,
    )
    axes.set_yscale("symlog", linthresh=10)
    axes.set_yticks([0, 5, 10, 30, 100, 300], ["0", "5", "10", "30", "100", "300"])


def _marks(axes: Axes, by_kind: Sequence[Sequence[Row]], rules: Sequence[str]) -> None:
    for i, rule in enumerate(rules):
        for x, group in enumerate(by_kind):
            values = [row[f"{rule}_loss_percent"] for row in group]
            known = [value for value in values if value is not None]
            if known:
                place = x + 0.14 * (i - (len(rules) - 1) / 2)
                axes.plot(place, mean(known), MARKERS[i], color=COLOURS[i], zorder=5)


def sync_figure(rows: Sequence[Row]) -> Figure:
    """Return rings and stars of a data-parallel step side by side, for every network.

    Parameters
    ----------
    rows
        With the step times of our ring, of the nearest next and the worst one; of the best and worst star.
    """
    words = ("ring, ours", "ring, nearest next", "ring, worst", "star, best centre", "star, worst centre")
    columns = ("ring_ours_s", "ring_nearest_s", "ring_worst_s", "star_best_s", "star_worst_s")
    sets = tuple(dict.fromkeys(row["boards"] for row in rows))
    with style():
        figure, axes = panels(1, len(sets), width_in=PAGE_IN, height_in=2.5, sharey=True)
        for one, boards in zip(axes, sets, strict=True):
            mine = [row for row in rows if row["boards"] == boards]
            for i, column in enumerate(columns):
                xs = [x + 0.15 * (i - 2) for x in range(len(mine))]
                one.plot(xs, [row[column] for row in mine], MARKERS[i], color=COLOURS[i])
            plain_log(one, [row[column] for row in rows for column in columns])
            labels = [network_label(row["network"]) for row in mine]
            one.set_xticks(range(len(mine)), labels, fontsize=6)
            one.set_title(f"{boards} boards")
        axes[0].set_ylabel("step time, s")
        figure.supxlabel(NETWORK_AXIS, fontsize=7)
        line_legend(figure, words)
        return figure
