"""Backups: a neighbour has weights and optimizer state of a stage, byte for byte."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from models import catalog
from solver.errors import InternalError
from solver.execution.passes.replica import Held, Replica
from solver.execution.passes.tuning import Tuning
from solver.execution.run import run
from solver.execution.state.block_state import state_of
from solver.execution.state.copies import Copies, fill, packed_stage
from solver.execution.workers.pool import LocalPool
from tests.execution import plans

VIT = catalog.workload("vit_digits")
BLOCKS = plans.VIT[:2]


def replica(optimizer: str, seed: int, updates: int) -> Replica:
    plan = plans.chain_plan(optimizer=optimizer)
    made = Replica(Tuning.of(plan, VIT), Held.whole(BLOCKS), seed, None)
    for _ in range(updates):
        for weight in made.trained_weights():
            weight.grad = torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
        made.update()
    return made


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adamw"])
def test_copy_gives_back_weights_and_optimizer_state(optimizer: str) -> None:
    source, target = replica(optimizer, 1, 3), replica(optimizer, 2, 0)
    weights = sum(p.numel() * 4 for p in source.trained_weights())
    size = weights * {"sgd": 1, "momentum": 2, "adamw": 3}[optimizer]
    fill(target, BLOCKS, packed_stage(source, BLOCKS, size), 3)
    for block in BLOCKS:
        first, second = state_of(source, block).state, state_of(target, block).state
        for one, other in (
            (first.weights, second.weights),
            (first.optimizer_table(), second.optimizer_table()),
        ):
            assert one.keys() == other.keys()
            assert all(torch.equal(one[key], other[key]) for key in one)
    with pytest.raises(InternalError, match="the Program says"):
        packed_stage(source, BLOCKS, size + 4)


def test_latest_versions_stay() -> None:
    copies = Copies(depth=2)
    for version in (1, 2, 3):
        copies.keep((0, 1), version, torch.full((4,), version, dtype=torch.uint8))
    assert copies.of((0, 1), 1) is None
    kept: Any = copies.of((0, 1), 2)
    assert kept.tolist() == [2] * 4
    assert copies.num_bytes == 8


def test_run_sends_exactly_the_bytes_of_its_backups(pool: LocalPool) -> None:
    backup = [{"stage": [0, 0], "on": "b"}, {"stage": [0, 1], "on": "a"}]
    plan = plans.chain_plan(backup=backup)
    result = run(plan, VIT, plans.cluster("a", "b"), steps=2, mode="raw", pool=pool)
    figures = result.to_json()
    assert figures["traffic_bytes"]["measured"] == figures["traffic_bytes"]["predicted"]
    assert figures["max_relative_weight_difference"] <= 1e-6
    for peak in figures["peak_memory_bytes"].values():
        assert peak["measured"] == pytest.approx(peak["predicted"], rel=0.1)


def test_nothing_of_a_rehearsal_is_left() -> None:
    """Steps of a rehearsal are numbered as real ones: kept, they would push those out."""
    copies = Copies(depth=2)
    for version in (3, 4):
        copies.keep((0, 1), version, torch.zeros(2, dtype=torch.uint8))
    copies.clear()
    copies.keep((0, 1), 1, torch.ones(2, dtype=torch.uint8))
    kept = copies.of((0, 1), 1)
    assert kept is not None and kept.tolist() == [1, 1]
    assert copies.of((0, 1), 4) is None
