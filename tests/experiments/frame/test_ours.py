"""Our plan is never worse than one it is compared with; what does not fit says why."""

from __future__ import annotations

import pytest

from experiments.frame.ours import WorseError, literature, never_worse, ours, why_none
from models.cluster import Cluster
from models.workload import Workload
from solver import api
from solver.job import Job
from solver.problem import Problem

PLANNERS = ("single", "data_parallel", "pipeline_even")


@pytest.mark.parametrize("objective", ["time", "energy"])
def test_ours_is_never_worse(objective: str) -> None:
    problem = api.problem("vit_digits", "four_boards", batch=8, objective=objective)
    others = literature(problem, PLANNERS)
    mine = ours(problem, others, work_limit=50)
    assert mine.score is not None
    assert mine.score <= min(one.score for one in others.values() if one.score is not None)


def test_a_worse_plan_is_told_loudly() -> None:
    problem = api.problem("vit_digits", "four_boards", batch=8)
    mine = literature(problem, ["data_parallel"])["data_parallel"]
    assert mine.score is not None
    never_worse(mine, {"equal": mine.score})
    with pytest.raises(WorseError, match="better"):
        never_worse(mine, {"better": mine.score / 2})


def test_what_does_not_fit_says_by_how_much() -> None:
    block = {"name": "a", "forward_flop": 1.0, "backward_input_flop": 1.0, "backward_weight_flop": 1.0}
    workload = Workload.model_validate({"name": "one", "blocks": [{**block, "weight_bytes": 100}]})
    board = {"flop_per_s": {"fp32": 1.0}, "memory_bytes": 150}
    devices = [{"name": name, **board} for name in ("left", "right")]
    switch = {"name": "switch", "members": ["left", "right"], "bandwidth_bytes_per_s": 1.0}
    cluster = Cluster.model_validate({"name": "two", "devices": devices, "segments": [switch]})
    answer = literature(Problem(workload, cluster, Job(batch=2)), ["data_parallel"])["data_parallel"]
    assert why_none(answer).startswith("does not fit: ")
    # 100 of weights, 100 of gradients, 50 for the half of them that a ring of two brings at a time.
    assert "needs 250 bytes and has 150: 100 too many" in why_none(answer)
