"""Peaks: what a stage holds depends on its depth and on who trains, not on how many stages come before."""

from __future__ import annotations

import pytest

from solver.search.chains.peaks import Rule, _count_backward, _pipeline, _undominated, peak_terms


def test_the_last_stage_of_1f1b_holds_one_micro_batch() -> None:
    """In flight; inputs waiting; gradients received; not yet sent; an input that is in use."""
    rule = Rule(12, "1f1b", 2)
    assert peak_terms(rule, 1, True, True).tolist() == [[1, 1, 0, 0, 1], [1, 2, 0, 1, 0]]


def test_gpipe_holds_all() -> None:
    terms = peak_terms(Rule(6, "gpipe", 2), 2, True, True)
    assert terms[:, 0].max() == 6


def test_1f1b_holds_twice_the_depth_less_one_but_no_more_than_there_are() -> None:
    for depth, held in ((1, 1), (2, 3), (3, 5), (4, 6), (5, 6)):
        assert peak_terms(Rule(6, "1f1b", 2), depth, True, True)[:, 0].max() == held


@pytest.mark.parametrize("schedule", ["1f1b", "gpipe"])
@pytest.mark.parametrize("count", [1, 3, 8])
def test_stages_before_the_one_before_make_no_difference(schedule: str, count: int) -> None:
    rule = Rule(count, schedule, 2)
    for depth in (1, 2, 3):
        for before in (2, 3):
            program = _pipeline(rule, depth + before, 0)
            counted = _undominated(_count_backward(program, f"d{before}", True))
            assert counted.tolist() == peak_terms(rule, depth, True, True).tolist()
