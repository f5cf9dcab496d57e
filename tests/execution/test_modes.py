"""Transparency of modes tensor and sequence, nested groups, and boundaries between unlike stages."""

from __future__ import annotations

from typing import Any

import pytest

from models import catalog
from models.cluster import Cluster
from solver.check import check
from solver.evaluate import evaluate
from solver.execution.workers.pool import LocalPool
from solver.plan import Plan
from tests.execution import plans
from tests.execution.mixed_plans import mixed_plan
from tests.execution.test_run import FOUR, VIT, assert_transparent, execute

NAMES = plans.VIT


def stage(blocks: list[str], shares: dict[str, Any], mode: str = "data") -> dict[str, Any]:
    return {"blocks": blocks, "mode": mode, "shares": shares}


def line(micro_batches: int, samples: int, *stages: dict[str, Any]) -> dict[str, Any]:
    return {"micro_batches": micro_batches, "samples": samples, "stages": list(stages)}


def tensor(**rest: Any) -> Plan:
    return plans.plan([line(2, 4, stage(NAMES, {"a": 5, "b": 4, "c": 3}, "tensor"))], **rest)


def test_uneven_heads_and_columns(pool: LocalPool) -> None:
    result = execute(tensor(), pool)
    assert_transparent(result)
    # No gradients travel: every weight has one holder, or the same gradient everywhere.
    assert all(row.stage >= 0 for row in result.report.program.rows if row.operation)


def test_uneven_tokens_in_double_precision(pool: LocalPool) -> None:
    given = line(2, 4, stage(NAMES, {"a": 30, "b": 20, "c": 14}, "sequence"))
    assert_transparent(execute(plans.plan([given], optimizer="adamw", precision="fp64"), pool), 1e-10)


def test_columns_that_do_not_follow_the_heads(pool: LocalPool) -> None:
    shares = {"heads": {"a": 5, "b": 7}, "columns": {"a": 100, "b": 476}}
    assert_transparent(execute(plans.plan([line(2, 4, stage(NAMES, shares, "tensor"))]), pool))


def test_data_over_tensor_and_sequence(pool: LocalPool) -> None:
    groups = {
        "first": {"samples": 4, "mode": "tensor", "shares": {"a": 7, "b": 5}},
        "second": {"samples": 2, "mode": "sequence", "shares": {"c": 40, "d": 24}},
    }
    assert_transparent(execute(plans.plan([line(2, 6, stage(NAMES, groups))]), pool))


def test_tensor_groups_cut_in_different_places(pool: LocalPool) -> None:
    """The pieces both cut are reduced by pairs, out of parts that do not lie in one run of memory."""
    groups = {
        "first": {"samples": 4, "mode": "tensor", "shares": {"a": 7, "b": 5}},
        "second": {"samples": 2, "mode": "tensor", "shares": {"c": 6, "d": 6}},
    }
    assert_transparent(execute(plans.plan([line(2, 6, stage(NAMES, groups))]), pool))


@pytest.mark.parametrize("mode", ["raw", "padded"])
def test_boundaries_between_stages_of_different_modes(pool: LocalPool, mode: str) -> None:
    stages = (
        stage(NAMES[:5], {"c": 24, "d": 40}, "sequence"),
        stage(NAMES[5:9], {"a": 3, "b": 9}, "tensor"),
        stage(NAMES[9:], {"c": 3, "d": 1}),
    )
    assert_transparent(execute(plans.plan([line(2, 4, *stages)]), pool, mode=mode, steps=2))


def test_two_stages_of_unlike_modes_on_the_same_devices(pool: LocalPool) -> None:
    stages = (stage(NAMES[:5], {"a": 7, "b": 5}, "tensor"), stage(NAMES[5:], {"a": 24, "b": 40}, "sequence"))
    assert_transparent(execute(plans.plan([line(2, 4, *stages)]), pool))


def test_pipelines_that_cut_a_block_differently(pool: LocalPool) -> None:
    """Device a holds the first heads for one pipeline and the last for the other, so all between too."""
    one = line(1, 4, stage(NAMES, {"a": 2, "b": 9, "c": 1}, "tensor"))
    other = line(1, 3, stage(NAMES[:6], {"b": 4, "d": 5, "a": 3}, "tensor"), stage(NAMES[6:], {"d": 3}))
    assert_transparent(execute(plans.plan([one, other]), pool))


def test_star_of_a_sequence_group(pool: LocalPool) -> None:
    given = line(2, 4, stage(NAMES, {"a": 30, "b": 34}, "sequence"))
    assert_transparent(execute(plans.plan([given], sync={"topology": "star", "server": "c"}), pool))


def test_frozen_blocks_in_a_tensor_group(pool: LocalPool) -> None:
    assert_transparent(execute(tensor(frozen=[*NAMES[:4], NAMES[7]]), pool))


def test_encoders_on_different_boards_into_a_tensor_trunk(pool: LocalPool) -> None:
    card, parts = plans.dag()
    stages = (
        stage(parts["accelerometer"], {"a": 4}),
        stage(parts["gyroscope"], {"b": 14, "c": 6}, "sequence"),
        stage(parts["trunk"], {"c": 5, "d": 3}, "tensor"),
    )
    assert_transparent(execute(plans.plan([line(2, 4, *stages)], "imu_motions"), pool, card))


@pytest.mark.parametrize("seed", [3, 4, 9, 17, 24, 33])
def test_random_mixtures(pool: LocalPool, seed: int) -> None:
    plan = mixed_plan(seed)
    check(plan, VIT, FOUR)
    assert_transparent(execute(plan, pool, steps=2))


def test_small_language_model_with_a_tensor_stage(pool: LocalPool) -> None:
    card = catalog.workload("gpt_letters")
    names = [block.name for block in card.blocks]
    heads = next(block.tensor.heads for block in card.blocks if block.tensor and block.tensor.heads)
    tokens = card.by_name[names[1]].tokens
    halves = {"a": heads - 1, "b": 1}, {"a": tokens - 3, "b": 3}
    for mode, shares in zip(("tensor", "sequence"), halves, strict=True):
        plan = plans.plan([line(2, 3, stage(names, shares, mode))], "gpt_letters")
        check(plan, card, FOUR)
        assert_transparent(execute(plan, pool, card))


UNEQUAL = Cluster.model_validate(
    {
        **FOUR.model_dump(exclude={"segments", "links"}),
        "links": [
            {"between": pair.split(), "bandwidth_bytes_per_s": 1e6 * rate, "latency_s": 1e-3}
            for pair, rate in (("a b", 8), ("b c", 8), ("c d", 8), ("a c", 4), ("b d", 4), ("a d", 2))
        ],
    }
)


def test_a_padded_run_takes_the_ring_that_its_stage_names(pool: LocalPool) -> None:
    """The nearest next closes over the slowest link, the named ring does not; times are as predicted."""
    words = stage(NAMES, {"a": 3, "b": 2, "c": 2, "d": 1})
    named, plain = (plans.plan([line(1, 8, {**words, "ring": ring})]) for ring in (["d", "c", "a", "b"], []))
    result = execute(named, pool, cluster=UNEQUAL, mode="padded")
    assert_transparent(result)
    assert {row.ring for row in result.report.program.rows if row.ring} == {("d", "c", "a", "b")}
    assert ("a", "d") not in result.traffic() and ("d", "a") not in result.traffic()
    assert result.report.step_time_s < 0.8 * evaluate(plain, VIT, UNEQUAL).step_time_s
    if not result.num_overruns:
        measured = result.to_json()["step_time_s"]["measured_median"]
        assert measured == pytest.approx(result.report.step_time_s, rel=0.03)


def test_groups_inside_a_stage_go_round_as_it_says(pool: LocalPool) -> None:
    groups = {"three": {"samples": 4, "mode": "tensor", "shares": {"a": 5, "b": 4, "c": 3}}, "d": 2}
    words = {**stage(NAMES, groups), "ring": ["d", "c", "a", "b"]}
    result = execute(plans.plan([line(2, 6, words)]), pool, cluster=UNEQUAL)
    assert_transparent(result)
    rings = {row.ring for row in result.report.program.rows if row.ring}
    assert ("c", "a", "b") in rings
    assert rings <= {("c", "a", "b"), ("d", "c", "a", "b"), ("d", "a"), ("d", "b"), ("d", "c")}
