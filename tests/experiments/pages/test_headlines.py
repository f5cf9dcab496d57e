"""Speed-ups among cases, by hand."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.pages.headlines import cases, speedups, text_of

RATES: dict[str, dict[str, float | None]] = {
    "small": {"ours": 12.0, "data": 2.0, "pipeline": 6.0},
    "large": {"ours": 9.0, "data": None, "pipeline": 3.0},
}


def rows() -> list[dict[str, Any]]:
    words = {"cluster": "4 nano", "mbit_per_s": 100, "batch": 32, "micro_batches": 4}
    return [
        {"model": model, **words, "planner": planner, "samples_per_s": rate}
        for model, rates in RATES.items()
        for planner, rate in rates.items()
    ]


def test_over_the_best_of_others_and_over_the_worst_that_fits() -> None:
    """Over the best: 12/6 = 2 and 9/3 = 3; over the worst: 12/2 = 6, and 9/3 = 3 where data does not fit."""
    found = cases(rows())
    best = speedups(found, "ours", ("data", "pipeline"))
    worst = speedups(found, "ours", ("data", "pipeline"), pick=min)
    assert best is not None
    assert worst is not None
    assert (best.largest, best.middle, best.over, best.count) == (3.0, 2.5, "pipeline", 2)
    assert (worst.largest, worst.over) == (6.0, "data")
    assert text_of(worst.case) == "small on 4 nano, 100 Mbit/s, batch 32, 4 micro-batches"


@pytest.mark.parametrize("others", [(), ("nobody",)])
def test_nothing_to_compare_with(others: tuple[str, ...]) -> None:
    assert speedups(cases(rows()), "ours", others) is None
