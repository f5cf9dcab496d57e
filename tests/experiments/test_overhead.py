"""The figures of overhead and bookkeeping do what they say, in small."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.figures import run_bookkeeping_growth, run_overhead_ratio
from experiments.figures._torch_pipelining import stages_of
from models import catalog
from solver.evaluate import evaluate


def test_blocks_are_cut_into_stages() -> None:
    assert stages_of("abcde", (1, 3)) == (("a",), ("b", "c"), ("d", "e"))


def test_the_same_schedule_is_planned() -> None:
    job = run_overhead_ratio.job("vit_digits", (4, 7, 10), 8, 4)
    plan, cluster = run_overhead_ratio.plan_of(job)
    assert [stage.in_flight for stage in plan.pipelines[0].stages] == [4, 3, 2, 1]
    assert evaluate(plan, catalog.workload(job.net), cluster).violations == ()
    assert plan.job.batch == job.batch == 32


def test_interval_holds_the_median() -> None:
    low, high = run_overhead_ratio.interval(np.array([0.9, 1.0, 1.0, 1.1, 1.2]))
    assert low <= 1.0 <= high and low == pytest.approx(0.9) and high == pytest.approx(1.2)


def test_both_train_alike() -> None:
    job = run_overhead_ratio.job("vit_digits", (7,), 2, 2)
    found = run_overhead_ratio.compare(job, pairs=1)  # asserts equal losses
    assert found["ours_samples_per_s"] > 0 and len(found["ratios"]) == 1


@pytest.mark.parametrize("num_devices", [1, 2])
def test_the_plan_of_bookkeeping_is_sound(num_devices: int) -> None:
    plan, cluster = run_bookkeeping_growth.plan_of(num_devices)
    workload = catalog.workload(run_bookkeeping_growth.WORKLOAD)
    assert evaluate(plan, workload, cluster).step_time_s > 0
