from __future__ import annotations

import pytest

from models import catalog
from solver.execution.dilation import choose, needed, rounded_up, slower
from solver.lowering import lower
from solver.program import Kind
from tests.execution import plans

PROGRAM = lower(plans.chain_plan(), catalog.workload("vit_digits"), plans.cluster("a", "b"))
FORWARD = [i for i in range(len(PROGRAM)) if PROGRAM.rows[PROGRAM.row[i]].kind == Kind.FORWARD]


def test_slowest_computation_takes_half_of_its_padded_time() -> None:
    target = PROGRAM.rows[PROGRAM.row[FORWARD[0]]].duration_s
    steps = [{FORWARD[0]: 3 * target}, {FORWARD[0]: 5 * target}, {FORWARD[0]: 90 * target}]
    assert needed(PROGRAM, steps) == pytest.approx(10)


def test_what_happens_in_one_of_two_steps_is_chance() -> None:
    target = PROGRAM.rows[PROGRAM.row[FORWARD[0]]].duration_s
    assert needed(PROGRAM, [{FORWARD[0]: 40 * target}, {FORWARD[0]: 3 * target}]) == pytest.approx(6)


def test_transfers_count_like_computations() -> None:
    message = next(i for i in range(len(PROGRAM)) if PROGRAM.rows[PROGRAM.row[i]].kind == Kind.RECV)
    target = PROGRAM.rows[PROGRAM.row[message]].duration_s
    steps = [{FORWARD[0]: 0.0, message: 2 * target}]
    assert needed(PROGRAM, steps) == pytest.approx(4)


@pytest.mark.parametrize(
    ("now", "wanted", "step_s", "found"),
    [(1.0, 2.51, 1.0, 2.6), (1.0, 9.0, 1.0, 4.0), (6.0, 20.0, 2.0, 10.0), (30.0, 40.0, 2.0, 30.0)],
    ids=["as wanted", "by a factor of four at once", "a step of 20 s at most", "never faster"],
)
def test_a_rehearsal_slows_the_clock_down_within_bounds(
    now: float, wanted: float, step_s: float, found: float
) -> None:
    assert slower(now, wanted, step_s) == pytest.approx(found)


def test_short_operations_are_stretched_beyond_noise_while_the_step_stays_short() -> None:
    shortest = min(row.duration_s for row in PROGRAM.rows if row.kind < Kind.UPDATE or row.kind == Kind.SEND)
    step_s = 1e-2
    assert choose(PROGRAM, step_s, 0.0) == rounded_up(0.02 / shortest)
    assert choose(PROGRAM, 10.0, 1.0) == 1.0


@pytest.mark.parametrize(("value", "rounded"), [(1.0, 1.0), (1.01, 1.1), (18.2, 19), (0.0123, 0.013)])
def test_two_digits_rounded_up(value: float, rounded: float) -> None:
    assert rounded_up(value) == pytest.approx(rounded, rel=1e-12)
