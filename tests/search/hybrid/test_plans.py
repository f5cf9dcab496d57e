"""All hybrid plans of a small space: as many as counted by hand, each once."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from solver.search.hybrid.plans import all_plans, bounded_shares, count_plans, group_shares


def test_two_blocks_on_two_devices_by_hand() -> None:
    """Two samples: one stage on x, on y, or shared 1 + 1; two stages: x then y, y then x."""
    assert count_plans(2, 2, 2) == 5


def test_shares_of_a_group_by_hand() -> None:
    assert group_shares(2, 4).tolist() == [[1, 3], [2, 2], [3, 1]]
    assert group_shares(3, 2).tolist() == []


@pytest.mark.parametrize("most", [(9, 9, 9), (2, 3, 4), (1, 1, 1), (4, 0, 4), (7,), (8,)])
def test_bounded_shares_are_those_of_all_that_give_nobody_too_many(most: tuple[int, ...]) -> None:
    rows = bounded_shares(most, 8, 100)
    assert rows is not None
    every = group_shares(len(most), 8).tolist()
    assert rows.tolist() == [row for row in every if all(n <= top for n, top in zip(row, most, strict=True))]


def test_bounded_shares_are_listed_only_where_they_are_few() -> None:
    """511 cuts, 5 of them: 2.8e11 ways; 6 devices with 86 at most: 4 fewer in all, C(9, 5)."""
    assert bounded_shares((512,) * 6, 512, 1000) is None
    rows = bounded_shares((86,) * 6, 512, 1000)
    assert rows is not None
    assert len(rows) == 126


@pytest.mark.parametrize(("blocks", "devices", "samples", "caps"), [(6, 4, 2, 0), (3, 3, 4, 0), (3, 3, 2, 3)])
def test_every_plan_is_sound_and_there_once(blocks: int, devices: int, samples: int, caps: int) -> None:
    seen = set()
    for plans in all_plans(blocks, range(1, devices + 1), devices + 2, samples, caps):
        for b in range(len(plans)):
            num = int(plans.num_stages[b])
            shares, ends = plans.shares[b, :num], plans.ends[b, :num]
            assert (shares.sum(axis=1) == samples).all() and ((shares > 0).sum(axis=0) <= 1).all()
            assert (shares[:, 0] == 0).all() and (shares[:, -1] == 0).all()
            assert ends[-1] == blocks and (np.diff(ends, prepend=0) > 0).all()
            given = () if plans.caps is None else tuple(plans.caps[b, :num].tolist())
            assert all(x >= y for x, y in pairwise(given))
            seen.add((tuple(ends.tolist()), shares.tobytes(), given))
    assert len(seen) == count_plans(blocks, devices, samples, caps)


def test_one_stage_with_free_caps_has_one_plan_for_each() -> None:
    assert count_plans(1, 1, 2, 4) == 4
