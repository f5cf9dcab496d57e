"""Memory of steps: four numbers of each, and instructions of the first and the last ones only."""

from __future__ import annotations

import tracemalloc

import pytest

from models import catalog
from solver.execution.history import FIRST, LAST, WORST, History, StepRecord
from solver.execution.run import run
from solver.execution.workers.pool import LocalPool
from solver.lowering import lower
from solver.program import Kind
from tests.execution import plans

VIT, TWO = catalog.workload("vit_digits"), plans.cluster("a", "b")
PROGRAM = lower(plans.chain_plan(), VIT, TWO)
FORWARD = next(i for i in range(len(PROGRAM)) if PROGRAM.instruction(i).row.kind == Kind.FORWARD)
RECEIVE = next(i for i in range(len(PROGRAM)) if PROGRAM.instruction(i).row.kind == Kind.RECV)


def record(step: int) -> StepRecord:
    """From 10 s on, by steps of 1 s: 0.2 s of computing, 0.3 s of receiving, one overrun."""
    start = (10 + step) * 10**9
    spans = {
        FORWARD: (start + 100_000_000, start + 300_000_000),
        RECEIVE: (start + 300_000_000, start + 600_000_000),
    }
    row = PROGRAM.instruction(FORWARD).row
    return StepRecord(start, start + 10**9, 1.0, spans, {}, [(row, 0.5)], peak_bytes=100 + step % 3)


def filled(num_steps: int) -> History:
    history = History(PROGRAM)
    for step in range(num_steps):
        history.add(record(step))
        history.close([1.0 / (step + 1)], 10.0 + step, 0.9)
    return history


def test_every_step_leaves_its_numbers() -> None:
    found = filled(3).to_json(dilation=2.0)
    assert found["losses"] == [1.0, 0.5, 1 / 3]
    assert found["began_s"] == [0.0, 1.0, 2.0]
    assert found["step_times_s"] == [0.9] * 3
    assert found["busy_s"] == pytest.approx([0.1] * 3)
    assert found["peak_bytes"] == 102
    assert [[step, label] for label, step, _ in found["overruns"]] == [[i, "F"] for i in range(3)]
    assert found["kept_steps"][1]["step"] == 1
    spans = {index: (start, end) for index, start, end in found["kept_steps"][1]["spans"]}
    assert spans[FORWARD] == pytest.approx((0.05, 0.15))
    assert spans[RECEIVE] == pytest.approx((0.15, 0.3))


def test_a_long_run_keeps_its_first_and_last_steps() -> None:
    found = filled(60).to_json(dilation=1.0)
    kept = [step["step"] for step in found["kept_steps"]]
    assert kept == [*range(FIRST), *range(60 - LAST, 60)]
    assert len(found["losses"]) == len(found["busy_s"]) == 60


def test_overruns_are_all_counted_and_some_listed() -> None:
    found = filled(WORST + 20).to_json(dilation=1.0)
    assert (found["num_overruns"], len(found["overruns"])) == (WORST + 20, WORST)


def test_a_step_more_costs_a_few_numbers_and_no_objects() -> None:
    history = filled(200)
    tracemalloc.start()
    try:
        before = tracemalloc.take_snapshot()
        for step in range(200, 1200):
            history.add(record(step))
            history.close([1.0], 10.0 + step, 0.9)
        grown = sum(change.size_diff for change in tracemalloc.take_snapshot().compare_to(before, "filename"))
    finally:
        tracemalloc.stop()
    # Four doubles a step and spare room of the arrays; a step with its two spans is more than 500 bytes.
    assert grown < 1000 * 4 * 8 * 1.3 + LAST * 2000


def test_a_run_of_60_steps_keeps_32_of_them(pool: LocalPool) -> None:
    plan = plans.plan([plans.pipeline(1, 1, (plans.VIT[:7], {"a": 1}), (plans.VIT[7:], {"b": 1}))])
    trace = run(plan, VIT, TWO, steps=60, mode="raw", reference=False, pool=pool).trace
    assert trace.kept == (*range(16), *range(44, 60))
    assert len(trace.start_s) == len(trace.end_s) == 32
    assert len(trace.losses) == len(trace.began_s) == len(trace.devices["a"].busy_s) == 60
    assert all(a < b for a, b in zip(trace.began_s, trace.began_s[1:], strict=False))
