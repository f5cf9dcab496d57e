"""A home with a cloud behind a slow link: what leaves, and plans of the boards judged with it in sight."""

from __future__ import annotations

import pytest

from experiments.cases.far import (
    CLOUD,
    far_cluster,
    fastest,
    federated,
    in_cloud,
    moved,
    near_cluster,
    split_federated,
    split_with_cloud,
    switch,
)
from experiments.cases.regimes import boards_of
from models import catalog
from models.quantity import Quantity
from solver.evaluate import evaluate
from solver.job import Job
from solver.plan import Stage, pipeline_plan
from solver.problem import Problem
from solver.solve import solve

BOARDS = boards_of("jetson_mixed")
JOB = Job(batch=4)


@pytest.fixture
def far() -> Problem:
    return Problem(catalog.workload("mobilenet_v2"), far_cluster("home", BOARDS, switch(), 100), JOB)


@pytest.fixture
def near() -> Problem:
    return Problem(catalog.workload("mobilenet_v2"), near_cluster("home", BOARDS, switch()), JOB)


def test_the_cloud_is_sent_raw_samples(far: Problem) -> None:
    found, why = fastest(far, in_cloud(far))
    assert found is not None and why == ""
    assert found[1].raw_bytes == found[1].untrusted_bytes == 4 * 602_112  # images as fp32
    assert found[1].step_time_s > 4 * 602_112 / 12.5e6


def test_a_split_sends_activations_and_nothing_raw(far: Problem) -> None:
    found, _ = fastest(far, split_with_cloud(far, ["orin"]))
    assert found is not None
    assert found[1].raw_bytes == 0 < found[1].untrusted_bytes


def test_a_plan_of_the_boards_costs_the_same_with_the_cloud_in_sight(far: Problem, near: Problem) -> None:
    plan = solve(near, "single").plan
    assert plan is not None
    again = evaluate(moved(far, plan), far.workload, far.cluster)
    assert again.step_time_s == evaluate(plan, near.workload, near.cluster).step_time_s
    assert again.untrusted_bytes == 0


def test_federated_weights_go_up_once_in_a_round(far: Problem, near: Problem) -> None:
    found, _ = fastest(far, federated(far, near, 10, CLOUD))
    assert found is not None
    plan, report = found
    size = sum(block.weight_bytes for block in far.workload.blocks)
    boards = len(dict(plan.pipelines[0].stages[0].shares))
    assert (report.program.num_steps, report.raw_bytes) == (10, 0)
    assert report.untrusted_bytes == boards * size


def test_split_federated_has_a_pipeline_for_each_board(far: Problem, near: Problem) -> None:
    (plan,) = split_federated(far, near, 10, [2])
    assert sum(pipeline.samples for pipeline in plan.pipelines) == 4
    assert all(CLOUD in dict(pipeline.stages[1].shares) for pipeline in plan.pipelines)
    assert evaluate(plan, far.workload, far.cluster).raw_bytes == 0


def test_why_nothing_fits_is_said(far: Problem) -> None:
    assert fastest(far, []) == (None, "no plan")
    small = BOARDS[0].model_copy(update={"memory_bytes": Quantity(value=1000)})
    tight = Problem(far.workload, far_cluster("tight", [small, *BOARDS[1:]], switch(), 100), JOB)
    stage = Stage(blocks=far.workload.order, shares={small.name: 4})
    found, why = fastest(tight, [pipeline_plan(tight, [stage], 1)])
    assert found is None
    assert why.startswith(f"device {small.name} needs ") and "has 1000" in why
