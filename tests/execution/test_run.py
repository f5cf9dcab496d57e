"""Transparency: an executed plan gives the losses, weights, bytes and memory of the undivided run."""

from __future__ import annotations

from pathlib import Path

import pytest

from models import catalog
from models.cluster import Cluster
from models.errors import InputError
from models.workload import Workload
from solver.execution.run import RunResult, run
from solver.execution.workers.pool import LocalPool
from solver.lowering import lower
from solver.plan import Plan
from tests.execution import plans

VIT = catalog.workload("vit_digits")
FOUR = plans.cluster("a", "b", "c", "d")


def execute(
    plan: Plan, pool: LocalPool, workload: Workload = VIT, cluster: Cluster = FOUR, **rest: object
) -> RunResult:
    return run(plan, workload, cluster, **{"steps": 3, "mode": "raw", "pool": pool, **rest})


def assert_transparent(result: RunResult, limit: float = 1e-5) -> None:
    found = result.to_json()
    assert len(found["losses"]) == len(found["reference_losses"]) == found["steps"]
    assert found["max_relative_loss_difference"] <= limit
    assert found["max_relative_weight_difference"] <= limit
    assert {pair: size for pair, size in result.traffic().items()} == result.report.program.bytes_by_pair()
    for memory in found["peak_memory_bytes"].values():
        assert memory["measured"] == pytest.approx(memory["predicted"], rel=0.1)


def test_uneven_data_parallel(pool: LocalPool) -> None:
    assert_transparent(execute(plans.data_plan(), pool))


def test_pipeline(pool: LocalPool) -> None:
    assert_transparent(execute(plans.chain_plan(), pool))


def test_hybrid_with_gpipe_in_double_precision(pool: LocalPool) -> None:
    plan = plans.hybrid_plan(optimizer="adamw", precision="fp64", schedule="gpipe")
    assert_transparent(execute(plan, pool), 1e-10)


def test_devices_in_several_stages_exchange_what_they_hold_without_a_message(pool: LocalPool) -> None:
    names = plans.VIT
    stages = [(names[:3], {"a": 5, "b": 3}), (names[3:7], {"a": 2, "b": 6}), (names[7:], {"a": 8})]
    result = execute(plans.plan([plans.pipeline(2, 8, *stages)]), pool)
    assert_transparent(result)
    # Three samples move from a to b and back; then six of b's go to a, and their gradients return.
    sample = VIT.by_name[names[2]].output_bytes
    sums = sum(VIT.by_name[name].weight_bytes for name in names[:7])
    assert result.report.traffic["a", "b"] == 2 * (3 + 6) * sample + sums


def test_pipelines_side_by_side_in_opposite_directions(pool: LocalPool) -> None:
    names = plans.VIT
    there = plans.pipeline(2, 3, (names[:4], {"a": 3}), (names[4:], {"b": 3}))
    back = plans.pipeline(1, 2, (names[:9], {"b": 2}), (names[9:], {"a": 2}))
    assert_transparent(execute(plans.plan([there, back]), pool))


def test_copies_of_every_pipeline_stay_the_same(pool: LocalPool) -> None:
    """b holds the blocks of both pipelines in between twice; their gradients are added up in one place."""
    names = plans.VIT
    there = plans.pipeline(2, 3, (names[:4], {"a": 3}), (names[4:], {"b": 3}))
    back = plans.pipeline(1, 2, (names[:9], {"b": 2}), (names[9:], {"a": 2}))
    words = {"optimizer": "adamw", "precision": "fp64"}
    result = execute(plans.plan([there, back], copies="per_pipeline", **words), pool)
    assert_transparent(result, 1e-10)
    twice = sum(2 * VIT.by_name[name].weight_bytes for name in names[4:9])
    shared = lower(plans.plan([there, back], **words), VIT, FOUR).static["b"]
    apart = result.report.program.static["b"]
    assert apart.weight_bytes == shared.weight_bytes + twice
    assert apart.gradient_bytes == shared.gradient_bytes
    assert apart.optimizer_bytes == shared.optimizer_bytes + 2 * twice


def test_star_reduces_at_a_server_that_trains_nothing(pool: LocalPool) -> None:
    plan = plans.data_plan(sync={"topology": "star", "server": "c"})
    assert_transparent(execute(plan, pool))


def test_frozen_blocks_pass_gradients_or_none(pool: LocalPool) -> None:
    names = plans.VIT
    plan = plans.chain_plan(frozen=[*names[:3], names[7]])
    assert_transparent(execute(plan, pool))
    plan = plans.chain_plan(frozen=names[:6])
    result = execute(plan, pool)
    assert_transparent(result)
    assert ("b", "a") not in result.traffic()


def test_two_encoders_into_a_trunk_on_one_shared_medium(pool: LocalPool) -> None:
    card, parts = plans.dag()
    stages = [
        (parts["accelerometer"], {"a": 4}),
        (parts["gyroscope"], {"b": 4}),
        (parts["trunk"], {"c": 3, "d": 1}),
    ]
    plan = plans.plan([plans.pipeline(2, 4, *stages)], "imu_motions")
    result = execute(
        plan, pool, card, plans.cluster("a", "b", "c", "d", shared=True), mode="padded", dilation=2.0, steps=2
    )
    assert_transparent(result)
    assert result.trace.dilation == 2.0


def test_one_device_alone(pool: LocalPool) -> None:
    result = execute(plans.plan([plans.pipeline(2, 4, (plans.VIT, {"a": 4}))]), pool)
    assert_transparent(result)
    assert result.traffic() == {}


def test_every_instruction_has_a_time_in_the_trace(pool: LocalPool, tmp_path: Path) -> None:
    seen: list[int] = []
    result = execute(
        plans.chain_plan(),
        pool,
        steps=2,
        mode="padded",
        reference=False,
        out=tmp_path / "run",
        keep_checkpoint=True,
        progress=lambda step, loss: seen.append(step),
    )
    program = lower(plans.chain_plan(), VIT, FOUR)
    assert seen == [0, 1]
    assert (tmp_path / "run" / "trace.json").exists()
    assert [path.name for path in (tmp_path / "run" / "checkpoints").iterdir()] == ["step-00000002"]
    for starts, ends in zip(result.trace.start_s, result.trace.end_s, strict=True):
        assert len(starts) == len(program)
        assert all(s is not None and e is not None and s <= e for s, e in zip(starts, ends, strict=True))
    assert result.to_json()["max_relative_loss_difference"] is None


def test_trace_is_not_overwritten(pool: LocalPool, tmp_path: Path) -> None:
    (tmp_path / "trace.json").write_text("{}")
    with pytest.raises(InputError, match="holds a trace"):
        execute(plans.data_plan(), pool, out=tmp_path)


def test_same_seed_same_losses(pool: LocalPool) -> None:
    first, second, other = (
        execute(plans.data_plan(), pool, reference=False, seed=seed, steps=2).trace.losses
        for seed in (1, 1, 2)
    )
    assert first == second != other
