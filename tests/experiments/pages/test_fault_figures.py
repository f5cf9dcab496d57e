"""Which boards the figure of what is kept is about."""

from __future__ import annotations

from typing import Any

from experiments.pages.fault_figures import KEPT_OF, WAYS, kept_figure


def row(way: str, cluster: str, kept: float) -> dict[str, Any]:
    return {"job": "a", "cluster": cluster, "mbit_per_s": 100, "way": way, "mtbf_s": 3600, "kept": kept}


def test_one_cluster_is_drawn_and_named() -> None:
    rows = [row(way, cluster, kept) for way in WAYS for cluster, kept in ((KEPT_OF, 0.5), ("nano_x4", 0.9))]
    figure = kept_figure(rows)
    assert [list(line.get_ydata()) for line in figure.axes[0].lines] == [[0.5]] * len(WAYS)
    assert figure.get_supxlabel().endswith(f", {KEPT_OF}")
