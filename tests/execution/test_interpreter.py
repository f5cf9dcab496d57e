from __future__ import annotations

from typing import Any, cast

import pytest

from models import catalog
from solver.execution.clock import now_ns
from solver.execution.history import StepRecord
from solver.execution.interpreter import Interpreter
from solver.lowering import lower
from tests.execution import plans

ROW = lower(plans.chain_plan(), catalog.workload("vit_digits"), plans.cluster("a", "b")).rows[0]
NOTHING = cast(Any, None)


def waiting(until: list[int]) -> Interpreter:
    interpreter = Interpreter(NOTHING, NOTHING, {}, NOTHING)
    interpreter.pause = until.append
    return interpreter


def test_what_is_done_in_time_ends_when_it_was_to_end() -> None:
    until: list[int] = []
    record, target = StepRecord(), now_ns() + 10**12
    assert waiting(until)._keep_to(target, ROW, record) == target
    assert until == [target] and record.overruns == []


def test_what_is_late_ends_when_it_is_done_and_counts() -> None:
    until: list[int] = []
    record, target = StepRecord(), now_ns() - 10**9
    end = waiting(until)._keep_to(target, ROW, record)
    assert target + 10**9 <= end <= now_ns()
    assert until == []
    [(row, late)] = record.overruns
    assert row is ROW and late == pytest.approx((end - target) * 1e-9)
