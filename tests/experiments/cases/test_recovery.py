"""What a loss costs by hand: three boards, a stage each, state that moves over a link of 1 MB/s."""

from __future__ import annotations

from typing import Any

import pytest

from experiments.cases.recovery import DETECT_S, Lost, bare, rows, ways
from models.cluster import Cluster
from models.workload import Workload
from solver.job import Job
from solver.plan import Stage, pipeline_plan
from solver.problem import Problem
from solver.repair.backups import protected


def problem() -> Problem:
    """Three blocks of 4,000 bytes of weights; boards of 1 Gflop/s, c has most memory; SGD keeps no state."""
    block = {"forward_flop": 1e9, "backward_input_flop": 1e9, "backward_weight_flop": 1e9}
    block |= {"weight_bytes": 4000, "kept_bytes": 100, "output_bytes": 100}
    names = ["x", "y", "z"]
    edges = [{"source": "x", "target": "y"}, {"source": "y", "target": "z"}]
    workload = {"name": "three", "blocks": [{"name": name, **block} for name in names], "edges": edges}
    boards = {"a": 1e9, "b": 1e9, "c": 2e9}
    devices = [{"name": n, "flop_per_s": {"fp32": 1e9}, "memory_bytes": size} for n, size in boards.items()]
    switch = {"name": "net", "members": list(boards), "bandwidth_bytes_per_s": 1e6}
    cluster = {"name": "boards", "devices": devices, "segments": [switch]}
    return Problem(
        Workload.model_validate(workload), Cluster.model_validate(cluster), Job(batch=2), num_micro_batches=1
    )


def lost(device: str) -> Lost:
    asked = problem()
    stages = [Stage(blocks=(block,), shares={board: 2}) for block, board in zip("xyz", "abc", strict=True)]
    plan = pipeline_plan(asked, stages, 1)
    return Lost(asked, protected(plan, asked.workload, asked.cluster), device)


@pytest.fixture(scope="module")
def found() -> list[dict[str, Any]]:
    one = lost("a")
    return rows(one, ways(one))


def test_a_restart_loads_from_the_board_with_most_memory(found: list[dict[str, Any]]) -> None:
    """Two blocks stay with c or one does: what the others compute, at 4,000 bytes a block, comes from c."""
    restart = next(row for row in found if row["way"] == "restart")
    assert restart["moved_bytes"] == 4000 * restart["moved_blocks"]
    assert restart["move_s"] == pytest.approx(restart["moved_bytes"] / 1e6)


def test_steps_since_the_last_copies_are_done_again(found: list[dict[str, Any]]) -> None:
    """Only a had block x: late in a period of 50 the step in flight and 49 before it; early it and one."""
    light = {(r["period_steps"], r["moment"]): r for r in found if r["way"] == "light"}
    assert light[50, "late"]["steps_done_again"] == 50
    assert light[50, "early"]["steps_done_again"] == 2
    assert light[1, "early"]["steps_done_again"] == 1
    one = light[10, "late"]
    assert one["recovery_s"] == pytest.approx(DETECT_S + one["move_s"] + 10 * one["step_s_after"])


def test_the_cheapest_is_light_or_full(found: list[dict[str, Any]]) -> None:
    first = {row["way"]: row for row in found if row["period_steps"] == 1}
    assert first["cheapest"]["move_s"] in (first["light"]["move_s"], first["full"]["move_s"])


def test_backups_are_counted_beside_the_step() -> None:
    assert lost("a").plan.backup
    assert bare(lost("a").plan).backup == ()
    assert lost("b").stages == [1]
