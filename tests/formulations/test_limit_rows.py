"""Limit rows: what a programme on interval columns says of budgets and batteries, by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from models.cluster import Cluster
from solver.formulations.cbc import solve_cbc
from solver.formulations.interval_columns import build
from solver.formulations.limit_rows import LimitRows
from solver.job import Job
from solver.problem import Problem
from solver.search.chains.chain import ChainTables
from solver.search.power.costs import PowerModel
from solver.search.power.expanded import Expanded
from tests.algorithms.boards import chain


def what(batteries: tuple[float | None, float | None] = (None, None), **words: Any) -> Problem:
    """8 samples of 2 blocks of 2 Gflop, one micro-batch; boards of 1 Gflop/s, 1 W idle and 5 W busy."""
    board = {"flop_per_s": {"fp32": 1e9}, "memory_bytes": 1e9, "idle_w": 1, "busy_w": 5}
    devices = [{"name": f"x{i}", "battery_j": battery, **board} for i, battery in enumerate(batteries)]
    net = {"name": "net", "members": ["x0", "x1"], "bandwidth_bytes_per_s": 1e15}
    cluster = Cluster.model_validate({"name": "boards", "devices": devices, "segments": [net]})
    return Problem(chain(2), cluster, Job(batch=8, **words), num_micro_batches=1, left_out="off")


def stages(problem: Problem) -> list[tuple[str, int, int]] | None:
    """Return the solution of a programme that knows no lanes."""
    tables = ChainTables(problem, 1)
    programme = build(tables, tables.fits, np.zeros_like(tables.compute_s), math.inf)
    assert programme is not None
    LimitRows(programme, PowerModel(Expanded(problem), 1)).add()
    return programme.invert() if solve_cbc(programme.problem, math.inf).found else None


@pytest.mark.parametrize(
    ("words", "num_stages"),
    [
        # One board for 32 s takes 160 J; on two each waits 16 s for the other: 32 J more.
        ({"energy_budget_j": 191}, {1}),
        ({"energy_budget_j": 159}, None),
        # A battery of 100 J holds 16 s of work, 80 J, and 16 s of waiting: 96 J.
        ({"batteries": (100, 100), "steps": 1}, {2}),
        ({"batteries": (95, 95), "steps": 1}, None),
        ({"batteries": (100, 100), "steps": 1, "energy_budget_j": 191}, None),
        ({"deadline_s": 31.9}, None),
    ],
)
def test_by_hand(words: dict[str, Any], num_stages: set[int] | None) -> None:
    found = stages(what(**words))
    assert (found and {len(found)}) == num_stages


def test_everybody_takes_part_where_that_is_asked() -> None:
    found = stages(replace(what(energy_budget_j=200), all_take_part=True))
    assert found is not None and {name for name, _, _ in found} == {"x0", "x1"}
