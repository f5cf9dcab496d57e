"""What the map of families and the micro-batch figure are made of."""

from __future__ import annotations

from experiments.cet_parallelism_design import losses, winner_of
from experiments.pages.design_figures import caps_figure, count_columns, map_figure

SCORES = {
    "single": 1.009,
    "data": None,
    "sequence": 3.0,
    "tensor": 2.0,
    "pipeline": 1.0,
    "hybrid": 1.0,
    "any_mode": 1.0,
}


def test_the_simplest_family_within_a_percent_wins() -> None:
    assert winner_of(SCORES) == "single"
    assert winner_of({**SCORES, "single": 1.02}) == "pipeline"
    assert winner_of(dict.fromkeys(SCORES)) is None


def test_losses_are_against_the_best_family_and_count_what_has_no_plan() -> None:
    rows = [{**SCORES, "lit_asteroid": 1.5}, {**SCORES, "lit_asteroid": None}]
    assert losses(rows, "lit_asteroid") == ([50.0], 1)
    assert losses([dict.fromkeys((*SCORES, "lit_asteroid"))], "lit_asteroid") == ([], 0)


def test_counts_are_in_order_of_number() -> None:
    row = {"micro_batches_16_s": 1, "micro_batches_2_s": 1, "model": "a"}
    assert count_columns([row]) == ["micro_batches_2_s", "micro_batches_16_s"]


def test_figures_are_drawn_where_nothing_fits() -> None:
    rows = [
        {"model": "a", "memory": 1, "mbit_per_s": rate, "cluster": "c", "objective": "time", "winner": winner}
        for rate, winner in ((10, "single"), (100, None))
    ]
    assert len(map_figure(rows).axes) == 1
    caps = {"mbit_per_s": 10, "micro_batches_1_s": 2.0, "micro_batches_2_s": None, "caps_free_s": 1.0}
    names = ["1 micro-batches", "2 micro-batches", "best number, caps by rule"]
    (axes,) = caps_figure([caps, {**caps, "mbit_per_s": 100}]).axes
    assert [line.get_label() for line in axes.lines] == names
    assert axes.get_yscale() == "symlog" and "linear to 10" in axes.get_ylabel()
