"""What the figures of the alternatives show, and what is said below them."""

from __future__ import annotations

from typing import Any

from experiments.cet_against_alternatives import WAYS
from experiments.pages.alternatives_figures import alternatives_figure
from experiments.pages.alternatives_words import caption

SILENT = ("one device", "collaborative")


def row(way: str, rate: int, *, fits: bool = True) -> dict[str, Any]:
    left = 0.0 if way in SILENT else 1e3
    costs = {"s_per_sample": 1.0, "home_j_per_sample": 2.0, "left_bytes_per_sample": left}
    return {"model": "a", "wan_mbit_per_s": rate, "way": way, "fits": fits, **costs}


ROWS = [row(way, rate) for way in WAYS for rate in (5, 20)]


def test_no_two_ways_look_alike_and_the_legend_shows_dashes() -> None:
    figure = alternatives_figure(ROWS, WAYS)
    lines = figure.axes[0].lines
    assert [line.get_label() for line in lines] == list(WAYS)
    for look in ("get_color", "get_marker"):
        assert len({getattr(line, look)() for line in lines}) == len(WAYS)
    (legend,) = figure.legends
    assert legend.get_lines()[-1].get_linestyle() == lines[-1].get_linestyle() == "--"
    assert legend.handlelength > 4
    figure.draw_without_rendering()
    box = legend.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1


def test_ways_that_send_nothing_are_named_where_they_are_left_out() -> None:
    drawn = {line.get_label() for line in alternatives_figure(ROWS, WAYS).axes[2].lines}
    assert set(WAYS) - drawn == set(SILENT)
    assert caption(ROWS).endswith("kB that leave: *one device*, *collaborative*.")
    assert caption([row("collaborative", 5, fits=False), row("one device", 5)]).endswith(": *one device*.")
