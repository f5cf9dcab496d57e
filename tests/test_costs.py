"""Costs of blocks once the job is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from models.cluster import Device
from models.workload import Workload
from solver.costs import Costs
from solver.job import Job
from tests.language.cases import device, workload


def full(name: str, **more: Any) -> dict[str, Any]:
    own = {"forward_flop": 10, "backward_input_flop": 20, "backward_weight_flop": 30, "weight_bytes": 8}
    return {"name": name, **own, "kept_bytes": 7, "kept_frozen_bytes": 5, "output_bytes": 4, **more}


CHAIN = workload(full("a"), full("b"), full("c"))


def costs(work: Workload = CHAIN, **job: Any) -> Costs:
    return Costs(work, Job(batch=1, **job))


def test_the_first_trained_block_needs_no_gradient_of_its_input():
    found = costs()
    assert [found.block(name).backward_flop for name in "abc"] == [30, 50, 50]


def test_frozen_blocks_before_the_first_trained_one_have_no_backward():
    found = costs(frozen=("a",))
    assert [found.block(name).backward_flop for name in "abc"] == [0, 30, 50]
    assert [found.has_backward(name) for name in "abc"] == [False, True, True]
    assert [found.block(name).trained_bytes for name in "abc"] == [0, 8, 8]
    assert [found.block(name).kept_bytes for name in "abc"] == [0, 7, 7]


def test_a_frozen_block_behind_a_trained_one_passes_the_gradient_through():
    found = costs(frozen=("b",))
    assert found.block("b").backward_flop == 20
    assert found.block("b").kept_bytes == 5


def test_a_block_may_be_frozen_on_its_card():
    found = costs(workload(full("a", frozen=True), full("b")))
    assert not found.has_backward("a")


ADAPTERS = [
    {"name": "q", "in_features": 3, "out_features": 5, "tokens": 2},
    {"name": "v", "in_features": 3, "out_features": 1, "tokens": 2},
    {"name": "o", "in_features": 4, "out_features": 3, "tokens": 2, "input": "y"},
]


def test_adapters_add_weights_flop_and_what_they_keep():
    """Rank 2: A has 2 (3 + 3 + 4) = 20 weights, B 2 (5 + 1 + 3) = 18.

    Forward: 2 x 2 x 2 tokens x 19 = 152 flop more. Backward of the first adapted block: the gradients of B
    and of what A makes, 2 x 8 x 9 = 144, and of A, 8 x 10 = 80; behind it also of A's input, 80 more.
    Kept, 4 bytes apiece: inputs x (2 tokens x 3) and y (2 x 4) once each, and 2 tokens x rank 2 for each of
    three adapters: 24 + 32 + 48.
    """
    work = workload(full("a", adapters=ADAPTERS), full("b", adapters=ADAPTERS))
    found = costs(work, tune="lora", lora_rank=2)
    a, b = found.block("a"), found.block("b")
    assert (a.weight_bytes, a.trained_bytes) == (8 + 80 + 72, 80 + 72)
    assert a.forward_flop == 10 + 152
    assert a.backward_flop == 20 + 144 + 80
    assert b.backward_flop == 20 + 144 + 160
    assert a.kept_bytes == 5 + 24 + 32 + 48


def test_a_device_may_have_a_rank_of_its_own():
    found = costs(workload(full("a", adapters=ADAPTERS)), tune="lora", lora_rank=2)
    assert found.block("a", 4).trained_bytes == 2 * found.block("a").trained_bytes


def test_frozen_a_factors_cost_no_gradient():
    """Under ``ffa``: only B is trained; A's input need not be kept."""
    job = Job(batch=1, tune="lora", lora_rank=2)
    found = Costs(workload(full("a", adapters=ADAPTERS)), job, trains_a=False).block("a")
    assert (found.weight_bytes, found.trained_bytes) == (8 + 152, 72)
    assert found.backward_flop == 20 + 144
    assert found.kept_bytes == 5 + 48


def test_a_head_beside_adapters_is_trained_in_full():
    found = costs(
        workload(full("a", adapters=ADAPTERS), full("head")), tune="lora", lora_rank=2, trained=("head",)
    )
    assert (found.trains["a"], found.trains["head"]) == ("lora", "full")
    assert found.block("head").backward_flop == 50


def test_serving_keeps_and_trains_nothing():
    found = costs(kind="serve").block("b")
    assert (found.trained_bytes, found.kept_bytes, found.backward_flop) == (0, 0, 0)


@pytest.mark.parametrize(("precision", "size"), [("fp32", 8), ("bf16", 4), ("fp64", 16)])
def test_bytes_follow_the_precision_of_the_job(precision: str, size: int):
    assert costs(precision=precision).block("a").weight_bytes == size


def test_seconds_are_flop_over_speed():
    board = Device.model_validate(device("x", 5))
    assert costs().time_s("b", board, 4, part=0.5) == (10 * 4 / 2 / 5, 50 * 4 / 2 / 5)
    assert costs().time_s("b", board, 0) == (0, 0)


PROFILE = {"nano": {"b": {"samples": [2, 4], "forward_s": [1, 3], "backward_s": [2, 4]}}}


@pytest.mark.parametrize(
    ("samples", "seconds"), [(1, (1, 2)), (2, (1, 2)), (3, (2, 3)), (4, (3, 4)), (8, (6, 8))]
)
def test_a_measured_profile_goes_before_flop(samples: int, seconds: tuple[float, float]):
    """Linear between measured sizes, constant before the first, in proportion beyond the last."""
    work = workload(full("a"), full("b"), profiles=PROFILE)
    board = Device.model_validate(device("x", kind="nano"))
    assert costs(work).time_s("b", board, samples) == seconds


def test_a_profile_has_no_backward_where_the_job_has_none():
    work = workload(full("a"), full("b"), profiles=PROFILE)
    board = Device.model_validate(device("x", kind="nano"))
    assert costs(work, kind="serve").time_s("b", board, 2) == (1, 0)


@pytest.mark.parametrize("words", [{}, {"kind": "serve"}])
@pytest.mark.parametrize("block", ["a", "b"])
def test_seconds_of_many_numbers_of_samples_are_those_of_each(block: str, words: dict[str, str]):
    """Block b is measured, block a is not."""
    work = workload(full("a"), full("b"), profiles=PROFILE)
    board, found = Device.model_validate(device("x", 5, kind="nano")), costs(work, **words)
    each = [found.time_s(block, board, n) for n in range(10)]
    assert found.times_s(block, board, np.arange(10)).T.tolist() == [list(one) for one in each]
