"""What the energy-aware planner believes, in tables and words, by hand."""

from __future__ import annotations

from typing import Any

from experiments.pages.belief_page import belief_figure, words

CASE = {"model": "net", "cluster": "4 nano", "stages": 2, "devices": 4, "ours_devices": 1}


def row(mbit_per_s: int, alpha: float, **words: float) -> dict[str, Any]:
    """Believed 2 J and 10 s; true unless said otherwise 4 J, 1 J of it radio, 8 s; ours takes 1 J."""
    plain = {"believed_j_per_sample": 2.0, "energy_j_per_sample": 4.0, "radio_j_per_sample": 1.0}
    plain |= {"believed_step_s": 10.0, "step_s": 8.0, "score": 6.0, "informed_score": 3.0}
    plain |= {"informed_j_per_sample": 2.0, "ours_j_per_sample": 1.0}
    return {**CASE, "mbit_per_s": mbit_per_s, "alpha": alpha, **plain, **words}


ROWS = [
    row(10, 0.0),
    row(100, 0.0, energy_j_per_sample=2.5, score=3.0),
    row(10, 0.5, score=15.0),
]


def test_ratios_stand_in_the_tables() -> None:
    """At 10 Mbit/s: 2/4 believed, 1/4 radio, 10/8 of the step, 6/3 over the best kept, 4/1 over ours."""
    by_rate = words(ROWS)[2].splitlines()
    assert by_rate[2] == "| 10 | 0.500 | 25.0 | 1.25 | 2.00 | 2.00 | 4.00 | 4.00 |"
    assert by_rate[3].startswith("| 100 | 0.800 | 40.0 | 1.25 | 1.00 |")
    assert len(by_rate) == 4


def test_words_name_the_extremes_of_energy_alone() -> None:
    said = words(ROWS)[4]
    assert "believes 50 % at the least (net on 4 nano at 10 Mbit/s) and 65 % at the median" in said
    assert "In 1 of 2 cases" in said and "up to 2.00x (net on 4 nano at 10 Mbit/s)" in said
    assert "costs up to 5.00x in J" in words(ROWS)[7]


def test_the_figure_has_a_panel_for_every_cluster() -> None:
    other = {**row(10, 0.0), "cluster": "2 tx2"}
    assert len(belief_figure([*ROWS, other], "net").axes) == 2
