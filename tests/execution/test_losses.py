"""Nets whose blocks share weights, or whose loss couples samples, executed."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from models import catalog
from models.errors import InputError
from models.nets.catalog import spec
from models.nets.net import build_net
from solver.execution.passes.replica import build
from solver.execution.support import check_executable
from solver.execution.workers.pool import LocalPool
from solver.plan import Plan
from tests.execution import plans
from tests.execution.test_run import FOUR, assert_transparent, execute

GPT = catalog.workload("gpt_letters")
PAIRS = catalog.workload("imu_pairs")


def gpt_plan(*stages: tuple[list[str], dict[str, int]], **rest: object) -> Plan:
    return plans.plan([plans.pipeline(2, 4, *stages)], "gpt_letters", **rest)


def test_a_table_that_embeds_and_classifies_is_trained_at_both_ends(pool: LocalPool) -> None:
    names = list(GPT.order)
    first, last = ([names[0]], {"a": 3, "b": 1}), ([names[-1]], {"b": 2, "a": 2})
    plan = gpt_plan(first, (names[1:-1], {"c": 4}), last, optimizer="adamw", precision="fp64")
    assert_transparent(execute(plan, pool, GPT), 1e-10)


def test_a_frozen_table_stays_as_it_is_at_both_ends(pool: LocalPool) -> None:
    plan = gpt_plan((list(GPT.order), {"a": 3, "b": 1}), frozen=["embedding"])
    assert_transparent(execute(plan, pool, GPT))


def test_a_tied_head_needs_its_table_on_the_same_device() -> None:
    names = list(GPT.order)
    with pytest.raises(InputError, match=r"classify\.weight of head is word\.weight of embedding.*on b too"):
        check_executable(gpt_plan((names[:4], {"a": 4}), (names[4:], {"b": 4})), GPT, FOUR)
    mode = {"blocks": names[:1], "mode": "tensor", "shares": {"a": 3, "b": 3}}
    pipeline = plans.pipeline(2, 4, (names[:1], {"a": 4}), (names[1:], {"a": 2, "b": 2}))
    pipeline["stages"][0] = mode
    with pytest.raises(InputError, match="in mode data only"):
        check_executable(plans.plan([pipeline], "gpt_letters"), GPT, FOUR)


def test_a_tied_parameter_is_one_tensor_and_counted_once() -> None:
    net = build_net(spec("gpt_letters"))
    assert net.blocks["head"].get_parameter("classify.weight") is net.blocks["embedding"].word.weight
    assert set(net.weights("head")) == {"norm.weight", "norm.bias"}
    assert GPT.by_name["head"].weight_bytes == 2 * 96 * 4
    assert GPT.by_name["embedding"].weight_bytes == (128 + 32) * 96 * 4


def test_pairs_are_matched_in_one_micro_batch(pool: LocalPool) -> None:
    names = [block.name for block in PAIRS.blocks]
    towers = [(names[:4], {"a": 4, "c": 4}), (names[4:8], {"b": 8}), (names[8:], {"c": 8})]
    assert_transparent(execute(plans.plan([plans.pipeline(1, 8, *towers)], "imu_pairs"), pool, PAIRS))
    with pytest.raises(InputError, match="one micro-batch on one device"):
        check_executable(plans.plan([plans.pipeline(2, 8, *towers)], "imu_pairs"), PAIRS, FOUR)


def test_layers_that_couple_samples_or_draw_lots_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = spec("gpt_letters")
    layers = nn.Sequential(nn.Linear(96, 96), nn.BatchNorm1d(32), nn.Dropout(0.5), nn.Dropout(0.0))
    blocks = (plain.blocks[0], replace(plain.blocks[1], make=lambda: layers), *plain.blocks[2:])
    monkeypatch.setattr("models.nets.catalog.spec", lambda name: replace(plain, blocks=blocks))
    with pytest.raises(InputError) as caught:
        build(GPT, torch.float32, 0)
    assert [fault.message.split(":")[0] for fault in caught.value.faults] == [
        "1 is a BatchNorm1d",
        "2 is a Dropout",
    ]
