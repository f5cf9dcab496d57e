"""Energy of a run: powers of the cards over the measured intervals."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from models import catalog
from solver.execution.energy import trace_energy
from solver.execution.run import run
from solver.execution.trace import Trace
from solver.execution.workers.pool import LocalPool
from solver.plan import Plan
from solver.program import Kind
from tests.execution import plans
from tests.language.cases import block, cluster, device, pipeline, plan, score, stage, workload

TINY = workload(block("a", 1, 2, output_bytes=1, kept_bytes=2), block("b", 1, 2, kept_bytes=3))
BOARDS = cluster(
    device("x", idle_w=1, busy_w=4, radio_w=0.5),
    device("y", idle_w=2, busy_w=2),
    device("z", idle_w=3, busy_w=3),
)
# x  F0 [0] F1 [1]         B0 6-8    B1 9-11      y  F0 2-3 B0 3-5 F1 5-6 B1 6-8
PLAN = plan(pipeline(2, 1, stage("a", {"x": 1}), stage("b", {"y": 1})))
REPORT = score(PLAN, TINY, BOARDS)
FOUR = catalog.cluster("four_boards")


def trace(stretch: float = 1.0) -> Trace:
    """One step as predicted, all times stretched."""
    times = REPORT.timeline
    return Trace(
        plan={},
        mode="padded",
        dilation=1.0,
        seed=0,
        learning_rate=None,
        losses=(1.0,),
        reference_losses=(),
        step_times_s=(stretch * times.makespan_s,),
        start_s=(tuple(stretch * float(at) for at in times.start_s),),
        end_s=(tuple(stretch * float(at) for at in times.end_s),),
        devices={},
    )


def test_a_run_that_keeps_to_the_plan_costs_what_was_predicted() -> None:
    assert trace_energy(trace(), PLAN, BOARDS, REPORT.program).mean == REPORT.energy


def test_a_run_that_takes_twice_as_long_costs_twice_as_much() -> None:
    found = trace_energy(trace(2.0), PLAN, BOARDS, REPORT.program)
    assert found.energy_j == pytest.approx(2 * REPORT.energy_j) == pytest.approx(2 * 86)
    assert found.to_json()["by_device"]["x"] == {"idle": 22, "compute": 36, "radio": 4}


def test_a_step_of_which_an_instruction_was_not_measured_does_not_count() -> None:
    one = trace()
    broken = replace(one, end_s=((*one.end_s[0][:-1], None),))
    found = trace_energy(broken, PLAN, BOARDS, REPORT.program)
    assert (found.steps, found.energy_j, found.mean) == ((), None, {})


def test_a_receive_that_waits_for_its_message_uses_no_radio() -> None:
    """x takes part in four messages of 1 s; that of its gradient is posted 3 s before y has computed it."""
    one, program = trace(), REPORT.program
    row = [program.rows[r] for r in program.row]
    early = next(i for i, r in enumerate(row) if r.kind == Kind.SEND and r.device == "y")
    start = list(one.start_s[0])
    for i in (early, int(program.mate[early])):
        start[i] = 2.0
    waited = replace(one, start_s=(tuple(start),))
    assert trace_energy(waited, PLAN, BOARDS, program).mean == REPORT.energy


def hybrid() -> Plan:
    """Two stages of two boards, which reduce their gradients in pairs."""
    first, second = {"nano0": 5, "nano1": 3}, {"tx2": 2, "nx": 6}
    made = plans.plan([plans.pipeline(2, 8, (plans.VIT[:5], first), (plans.VIT[5:], second))])
    return made.model_copy(update={"cluster": made.cluster.model_copy(update={"name": "four_boards"})})


def test_energy_of_a_padded_run_is_that_of_the_intervals_in_its_trace(
    pool: LocalPool, tmp_path: Path
) -> None:
    """Worked out anew from ``trace.json`` and the cards: a pair that reduces sends and receives at once."""
    card = catalog.workload("vit_digits")
    result = run(hybrid(), card, FOUR, steps=2, reference=False, pool=pool, out=tmp_path)
    written = json.loads((tmp_path / "trace.json").read_text())
    program = result.report.program
    totals = []
    for span, starts, ends in zip(written["step_times_s"], written["start_s"], written["end_s"], strict=True):
        total = sum(board.idle_w.value for board in FOUR.devices) * span
        for index, (start, end) in enumerate(zip(starts, ends, strict=True)):
            row = program.instruction(index).row
            board = FOUR.by_name[row.device]
            if row.kind in (Kind.FORWARD, Kind.BACKWARD, Kind.UPDATE):
                total += (board.busy_w.value - board.idle_w.value) * (end - start)
            else:
                ways = 2 if row.kind == Kind.COLLECTIVE else 1
                total += ways * board.radio_w.value * (end - start)
        totals.append(total)
    figures = result.to_json()["energy_j"]
    assert figures["by_step"] == pytest.approx(totals, rel=1e-9)
    assert figures["from_intervals"] == pytest.approx(sum(totals) / 2, rel=1e-9)
    assert figures["predicted"] == result.report.energy_j
    if not result.num_overruns:
        assert figures["from_intervals"] == pytest.approx(result.report.energy_j, rel=0.01)
