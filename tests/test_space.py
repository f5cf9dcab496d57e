"""Space: which plans a bound is said of, and when a bound on one space holds for another."""

from __future__ import annotations

import pytest

from solver.space import Space

HYBRID = Space(("data",), None, None, (1, 2, 4), "free")


@pytest.mark.parametrize(
    ("narrow", "wide", "is_covered"),
    [
        (Space(num_micro_batches=(2,)), HYBRID, True),
        (HYBRID, HYBRID, True),
        (Space(("tensor",), num_micro_batches=(2,)), HYBRID, False),
        (Space(num_micro_batches=(8,)), HYBRID, False),
        (Space(max_group=3), Space(max_group=2), False),
        (Space(max_group=None), Space(max_group=2), False),
        (Space(max_group=2), Space(max_group=None), True),
        (Space(max_stages=2), Space(max_stages=3), True),
        (Space(max_stages=None), Space(max_stages=3), False),
        (Space(in_flight="free"), Space(), False),
        (Space(stages_per_device=2), Space(), False),
        (Space(power_modes="free"), Space(), False),
        (Space(), Space(power_modes="free"), True),
        (Space(max_group=None, share_step=1), Space(max_group=None, share_step=2), False),
        (Space(max_group=None, share_step=4), Space(max_group=None, share_step=2), True),
        (Space(max_group=None, share_step=None), Space(max_group=None), True),
        (Space(max_group=None), Space(max_group=None, share_step=None), False),
        (Space(), Space(share_step=None), True),
        (Space(max_group=None), Space(max_group=None, rings="nearest"), False),
        (Space(max_group=None, rings="nearest"), Space(max_group=None), True),
        (Space(), Space(max_group=None, rings="nearest"), True),
    ],
)
def test_a_space_covers_another_if_all_its_plans_are_among_its_own(
    narrow: Space, wide: Space, is_covered: bool
) -> None:
    assert wide.covers(narrow) is is_covered


def test_a_space_whose_rings_are_given_says_so() -> None:
    assert "rings nearest" in str(Space(max_group=None, rings="nearest"))
    assert "rings" not in str(Space(rings="nearest"))


def test_a_space_with_other_plans_says_so() -> None:
    assert str(Space(others=True)).endswith(", and the plans of other kinds that were looked at")
