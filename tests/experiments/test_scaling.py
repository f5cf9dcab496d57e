"""Problems of any size: the same net cut finer, boards in rooms; who is asked with which."""

from __future__ import annotations

import pytest

from experiments.cases.sizes import net, rooms
from experiments.scaling import DRAWN, PLANNERS, is_asked, not_drawn, work_limit


@pytest.mark.parametrize("count", [12, 100])
def test_the_net_is_about_the_same_however_it_is_cut(count: int) -> None:
    """Blocks are of 28 MB, +-15 %, times 48 / count; the two ends are 0.4 of one."""
    blocks = net(count).blocks
    assert len(blocks) == count
    inner = sum(block.weight_bytes for block in blocks[1:-1])
    assert inner == pytest.approx((count - 2) * 28e6 * 48 / count, rel=0.1)
    assert all(block.weight_bytes % 4 == 0 for block in blocks)


def test_rooms_of_eight_and_a_backbone() -> None:
    small, large = rooms(8), rooms(16)
    assert list(large.by_name)[:8] == list(small.by_name)
    first, second, *_, ninth = list(large.by_name)[:9]
    assert large.link(first, second).bytes_per_s == 125e6
    assert large.link(first, ninth).bytes_per_s == 31.25e6


def test_work_falls_with_size() -> None:
    assert work_limit(2, 48) == work_limit(8, 48) == 1000
    assert (work_limit(16, 48), work_limit(64, 48), work_limit(8, 400)) == (500, 125, 120)


def test_planners_are_asked_up_to_their_size() -> None:
    """Asteroid: 48^2 x 32^2 x 32 is 7.5e7, below 8e7; 48^2 x 64^2 x 48 is 4.5e8, above."""
    assert is_asked("asteroid", 32, 48)
    assert not is_asked("asteroid", 64, 48)
    assert is_asked("pipeline_even", 64, 400)


def test_planners_without_a_line_are_named() -> None:
    assert {name for name in PLANNERS if f"`{name}`" in not_drawn()} == set(PLANNERS) - set(DRAWN)
