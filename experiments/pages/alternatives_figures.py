"""Figure of the alternatives: time, energy at home and bytes that leave, over the link to the cloud."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from experiments.frame.plots import PAGE_IN, line_legend, lines, panels, plain_log, style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN = {
    "s_per_sample": "s a sample",
    "home_j_per_sample": "J a sample at home",
    "left_kb": "kB that leave, a sample",
}


def alternatives_figure(rows: Sequence[Mapping[str, Any]], ways: Sequence[str]) -> Figure:
    """Return a row of panels for each figure, a column for each model.

    Parameters
    ----------
    rows
        Of one home.
    ways
        In the order of the legend.
    """
    models = tuple(dict.fromkeys(row["model"] for row in rows))
    rates = tuple(dict.fromkeys(row["wan_mbit_per_s"] for row in rows))
    looks = {way: i for i, way in enumerate(ways)}
    with style():
        figure, axes = panels(len(SHOWN), len(models), width_in=PAGE_IN, height_in=5.6, sharex=True)
        for a, (column, model) in enumerate((c, m) for c in SHOWN for m in models):
            series = {}
            for way in ways:
                mine = {
                    r["wan_mbit_per_s"]: _value(r, column)
                    for r in rows
                    if (r["model"], r["way"]) == (model, way)
                }
                if any(value for value in mine.values()):
                    series[way] = [mine.get(rate) or None for rate in rates]
            last, first = a >= len(models) * (len(SHOWN) - 1), a % len(models) == 0
            words = {
                "x_label": "Mbit/s to the cloud" if last else "",
                "y_label": SHOWN[column] if first else "",
            }
            lines(axes[a], rates, series, looks=looks, **words)
            plain_log(axes[a], [value for values in series.values() for value in values if value])
            if a < len(models):
                axes[a].set_title(model)
        line_legend(figure, ways, looks)
        return figure


def _value(row: Mapping[str, Any], column: str) -> float | None:
    if not row["fits"]:
        return None
    return row["left_bytes_per_sample"] / 1e3 if column == "left_kb" else row[column]
