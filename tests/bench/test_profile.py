"""Performance profiles, worked out by hand."""

from __future__ import annotations

import pytest

from solver.bench.profile import score_profiles, time_profiles
from solver.bench.references import references
from tests.bench.lines import line


def test_share_of_problems_within_a_factor_of_the_best() -> None:
    lines = [
        line("one", "a", 2.0),
        line("one", "b", 3.0),  # 1.5
        line("two", "a", 8.0),  # 2
        line("two", "b", 4.0),
        line("three", "a"),
        line("three", "b", 1.0),
        line("four", "a"),
        line("four", "b"),  # nobody: no problem
    ]
    found = score_profiles(lines)
    assert found["a"].ratios.tolist() == [1.0, 2.0]
    assert found["b"].ratios.tolist() == [1.0, 1.0, 1.5]
    assert found["a"].num_problems == found["b"].num_problems == 3
    assert [found["a"].share(ratio) for ratio in (1.0, 1.9, 2.0, 99.0)] == pytest.approx(
        [1 / 3, 1 / 3, 2 / 3, 2 / 3]
    )
    assert [found["b"].share(ratio) for ratio in (1.0, 1.5)] == pytest.approx([2 / 3, 1.0])


def test_seeds_are_problems_of_their_own_and_rounding_is_no_difference() -> None:
    lines = [
        line("one", "a", 1.0, seed=0),
        line("one", "a", 2.0, seed=1),
        line("one", "b", 1.0 + 1e-13, seed=0),
    ]
    found = score_profiles(lines)
    assert (found["a"].ratios.tolist(), found["b"].ratios.tolist()) == ([1.0, 1.0], [1.0])


def test_times_count_to_a_proof_only() -> None:
    lines = [
        line("one", "a", 1.0, status="OPTIMAL", wall_s=2.0),
        line("one", "b", 1.0, status="OPTIMAL", wall_s=8.0),
        line("two", "a", 1.0, wall_s=0.1),
        line("two", "b", 1.0, status="OPTIMAL", wall_s=1e-9),
        line("three", "b", status="INFEASIBLE", wall_s=1.0),
    ]
    found = time_profiles(lines, references(lines))
    assert (found["a"].ratios.tolist(), found["a"].num_problems) == ([1.0], 3)
    assert found["b"].ratios.tolist() == [1.0, 1.0, 4.0]
