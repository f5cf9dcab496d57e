"""Backups: a neighbour has weights and optimizer state of a stage, byte for byte."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from models import catalog
from solver.errors import InternalError
from solver.evaluate import evaluate
from solver.execution.network.transport import Transport
from solver.execution.passes.replica import Held, Replica
from solver.execution.passes.tuning import Tuning
from solver.execution.passes.worklist import members
from solver.execution.run import run
from solver.execution.state.block_state import state_of
from solver.execution.state.copies import Copies, fill, frozen_of, packed_stage
from solver.execution.state.frozen import kept_blocks, share_frozen
from solver.execution.workers.pool import LocalPool
from solver.lowering import lower
from solver.repair.stock import context_of
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
    fill(target, BLOCKS, packed_stage(source, BLOCKS, size), 3, {})
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


def test_what_is_frozen_travels_apart_from_what_changes() -> None:
    """Adapters of rank 2 on the first block that has some: their weights, and two slots of each."""
    plan = plans.chain_plan(optimizer="adamw", tune="lora", lora_rank=2)

    def made(seed: int, updates: int) -> Replica:
        found = Replica(Tuning.of(plan, VIT), Held.whole(plans.VIT[:3]), seed, None)
        for _ in range(updates):
            for weight in found.trained_weights():
                weight.grad = torch.ones_like(weight)
            found.update()
        return found

    source, target = made(1, 3), made(2, 0)
    blocks = plans.VIT[:3]
    trained = sum(weight.numel() * 4 for weight in source.trained_weights())
    content = packed_stage(source, blocks, 3 * trained)
    frozen = {block: frozen_of(source, block) for block in blocks}
    whole = sum(state_of(source, block).state.num_bytes for block in blocks)
    steps = len(source.trained_weights()) * 4  # Adam counts its steps; they are known without
    assert content.numel() + sum(one.numel() for one in frozen.values()) == whole - steps
    assert 0 < content.numel() < 0.2 * whole
    fill(target, blocks, content, 3, frozen)
    for block in blocks:
        one, other = state_of(source, block).state, state_of(target, block).state
        assert all(torch.equal(one.weights[key], other.weights[key]) for key in one.weights)
        first, second = one.optimizer_table(), other.optimizer_table()
        assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("backup", [[(0, "b"), (1, "a")], [(0, "b")]])
def test_copies_of_adapters_cost_adapters(backup: list[tuple[int, str]], pool: LocalPool) -> None:
    """A renewal sends what is trained and its momentum; the neighbour keeps the frozen weights too."""
    copied = [{"stage": [0, stage], "on": name} for stage, name in backup]
    words = {"tune": "lora", "lora_rank": 2}
    boards = plans.cluster("a", "b")
    bare = evaluate(plans.chain_plan(**words), VIT, boards)
    result = run(plans.chain_plan(backup=copied, **words), VIT, boards, steps=2, mode="raw", pool=pool)
    costs = context_of(plans.chain_plan(**words), VIT, boards).costs
    parts = [plans.VIT[:5], plans.VIT[5:]]
    trained = sum(costs.block(name).trained_bytes for stage, _ in backup for name in parts[stage])
    figures = result.to_json()
    assert figures["traffic_bytes"]["measured"] == figures["traffic_bytes"]["predicted"]
    assert figures["traffic_bytes"]["predicted"] - bare.traffic_bytes == 2 * trained
    whole = {name: sum(costs.block(b).weight_bytes for b in parts[stage]) for stage, name in backup}
    for name, peak in figures["peak_memory_bytes"].items():
        assert peak["predicted"] - bare.memory[name].peak_bytes > whole.get(name, 0) - 1
        assert peak["measured"] == pytest.approx(peak["predicted"], rel=0.1)


def test_a_keeper_that_takes_no_part_is_sent_nothing() -> None:
    """The stage is wholly frozen: no renewal makes a member of its keeper c."""
    stages = (plans.VIT[:1], {"a": 4}), (plans.VIT[1:], {"b": 4})
    backup = [{"stage": [0, 0], "on": "c"}]
    plan = plans.plan([plans.pipeline(1, 4, *stages)], backup=backup, tune="lora", lora_rank=2)
    boards = plans.cluster("a", "b", "c")
    assert members(lower(plan, VIT, boards)) == ("a", "b")
    transport = Transport(("a", "b"), "a", 1.0, None)
    held = Replica(Tuning.of(plan, VIT), Held.whole(plans.VIT[:1]), 0, None)
    share_frozen(context_of(plan, VIT, boards), held, Copies(), transport)
    assert transport.sent_bytes == {}


def test_frozen_weights_stay_as_long_as_their_copies_are_kept() -> None:
    copies = Copies()
    copies.frozen = {"one": torch.zeros(3, dtype=torch.uint8), "two": torch.zeros(5, dtype=torch.uint8)}
    copies.clear()
    assert copies.num_bytes == 8
    copies.forget_frozen(but={"two"})
    assert (list(copies.frozen), copies.num_bytes) == (["two"], 5)
    assert kept_blocks(plans.chain_plan(backup=[{"stage": [0, 1], "on": "a"}]), "a") == set(plans.VIT[5:])


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


@pytest.mark.parametrize("mode", ["padded", "raw"])
def test_copies_are_renewed_every_so_many_steps(mode: Any, pool: LocalPool) -> None:
    """Those of the first stage in steps 1 and 3, those of the second in step 2."""
    backup = [{"stage": [0, 0], "on": "b", "every": 2}, {"stage": [0, 1], "on": "a", "every": 3}]
    boards = plans.cluster("a", "b")
    result = run(plans.chain_plan(backup=backup), VIT, boards, steps=6, mode=mode, pool=pool)
    bare = evaluate(plans.chain_plan(), VIT, boards)
    sent = {name: device.sent_bytes for name, device in result.trace.devices.items()}
    costs = context_of(plans.chain_plan(), VIT, boards).costs
    first, second = (
        sum(costs.block(n).weight_bytes for n in part) for part in (plans.VIT[:5], plans.VIT[5:])
    )
    # Weights and momentum, in three steps of six, and in two.
    assert sent["a"]["b"] == 6 * bare.traffic["a", "b"] + 3 * 2 * first
    assert sent["b"]["a"] == 6 * bare.traffic["b", "a"] + 2 * 2 * second
    assert sum(result.traffic().values()) == pytest.approx(result.report.traffic_bytes, abs=2)
    assert result.max_relative_weight_difference is not None
    assert result.max_relative_weight_difference <= 1e-6
    assert result.energy is not None
    assert result.energy.steps == (0, 1, 2, 3, 4, 5)
    if mode == "padded" and not result.num_overruns:
        assert sum(result.trace.step_times_s) / 6 == pytest.approx(result.report.step_time_s, rel=0.02)


def test_later_versions_of_steps_that_were_undone_do_not_count() -> None:
    copies = Copies(depth=2)
    for version in (5, 10, 6):
        copies.keep((0, 1), version, torch.zeros(1, dtype=torch.uint8))
    assert [copies.of((0, 1), version) is not None for version in (5, 6, 10)] == [True, True, False]


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
