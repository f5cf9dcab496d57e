"""Primal gaps over time, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from solver.bench.anytime import curves, gap_steps, primal_gap, primal_integral
from solver.bench.references import references
from tests.bench.lines import line


def test_the_primal_gap_lies_between_0_and_1() -> None:
    assert [primal_gap(score, 2.0) for score in (2.0, 4.0, 1e9)] == [0.0, 0.5, pytest.approx(1.0)]
    assert primal_gap(-1.0, 1.0) == 1.0
    assert primal_gap(0.0, 0.0) == 0.0


def test_the_gap_steps_down_and_its_integral_is_the_area() -> None:
    run = line("one", "a", 2.0, incumbents=[[1.0, 4.0], [3.0, 2.0]])
    assert gap_steps(run, 2.0) == [(0.0, 1.0), (1.0, 0.5), (3.0, 0.0)]
    assert primal_integral(run, 2.0) == pytest.approx(1 * 1.0 + 2 * 0.5)
    assert primal_integral(line("one", "a"), 2.0) == 10.0
    assert primal_integral(line("one", "a"), None) == 0.0


def test_a_score_without_incumbents_counts_from_the_end_of_the_run() -> None:
    assert gap_steps(line("one", "a", 2.0, incumbents=[], wall_s=7.0), 1.0) == [(0.0, 1.0), (7.0, 0.5)]


def test_incumbents_after_the_limit_do_not_make_the_integral_wrong() -> None:
    assert primal_integral(line("one", "a", 2.0, incumbents=[[12.0, 2.0]]), 2.0) == 10.0


def test_what_a_failed_run_found_does_not_count() -> None:
    run = line("one", "a", status="FAILED", incumbents=[[1.0, 2.0]])
    assert gap_steps(run, 2.0) == [(0.0, 1.0)]


def test_curves_average_seeds_then_cases() -> None:
    lines = [
        line("one", "a", 1.0, seed=0, incumbents=[[1.0, 1.0]]),
        line("one", "a", 2.0, seed=1, incumbents=[[1.0, 2.0]]),
        line("two", "a", 1.0, incumbents=[[5.0, 1.0]]),
        line("three", "a"),  # nobody has a plan: left out
    ]
    curve = curves(lines, references(lines))["a"]
    at = np.searchsorted(curve.times_s, [0.9, 1.1, 9.9])
    assert curve.mean[at].tolist() == pytest.approx([1.0, (0.25 + 1.0) / 2, 0.25 / 2])
    error = np.std([0.25, 1.0], ddof=1) / 2**0.5
    assert curve.high[at[1]] == pytest.approx(min(1.0, 0.625 + error))
    assert curve.low[at[1]] == pytest.approx(0.625 - error)
    assert curve.times_s[-1] == pytest.approx(10.0)
