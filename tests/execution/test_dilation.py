from __future__ import annotations

import pytest

from models import catalog
from solver.execution.dilation import choose, needed, rounded_up
from solver.lowering import lower
from solver.program import Kind
from tests.execution import plans

PROGRAM = lower(plans.chain_plan(), catalog.workload("vit_digits"), plans.cluster("a", "b"))
FORWARD = [i for i in range(len(PROGRAM)) if PROGRAM.rows[PROGRAM.row[i]].kind == Kind.FORWARD]


def test_slowest_computation_takes_half_of_its_padded_time() -> None:
    target = PROGRAM.rows[PROGRAM.row[FORWARD[0]]].duration_s
    steps = [{FORWARD[0]: 3 * target}, {FORWARD[0]: 5 * target}, {FORWARD[0]: 90 * target}]
    assert needed(PROGRAM, steps) == pytest.approx(10)


def test_short_operations_are_stretched_beyond_noise_while_the_step_stays_short() -> None:
    shortest = min(row.duration_s for row in PROGRAM.rows if row.kind < Kind.UPDATE or row.kind == Kind.SEND)
    step_s = 1e-2
    assert choose(PROGRAM, step_s, 0.0) == rounded_up(0.02 / shortest)
    assert choose(PROGRAM, 10.0, 1.0) == 1.0


@pytest.mark.parametrize(("value", "rounded"), [(1.0, 1.0), (1.01, 1.1), (18.2, 19), (0.0123, 0.013)])
def test_two_digits_rounded_up(value: float, rounded: float) -> None:
    assert rounded_up(value) == pytest.approx(rounded, rel=1e-12)
