"""Textbook data parallelism in equal shares, and every planner at its best number of micro-batches."""

from __future__ import annotations

from experiments.cases.jetsons import CLUSTERS, jetsons
from experiments.cases.planners import answers, data_even
from models import catalog
from solver.job import Job
from solver.problem import Problem


def problem(micro_batches: int | None, batch: int = 32) -> Problem:
    cluster = jetsons(CLUSTERS["1 tx2, 2 nano"], 1000)
    return Problem(
        catalog.workload("mobilenet_v2"), cluster, Job(batch=batch), num_micro_batches=micro_batches
    )


def test_boards_are_named_by_kind_and_share_one_switch() -> None:
    cluster = jetsons({"tx2": 1, "nano": 2}, 100)
    assert list(cluster.by_name) == ["tx20", "nano0", "nano1"]
    assert {cluster.link("tx20", name).bytes_per_s for name in ("nano0", "nano1")} == {12.5e6}


def test_equal_shares_whatever_the_speed() -> None:
    """12 samples in 2 micro-batches: two of each for each of three boards, the TX2 as the Nanos."""
    plan = data_even(problem(2, batch=12)).plan
    assert plan is not None
    (stage,) = plan.pipelines[0].stages
    assert stage.shares == {"tx20": 2, "nano0": 2, "nano1": 2}


def test_fewer_samples_than_boards_is_no_data_parallelism() -> None:
    answer = data_even(problem(16))
    assert answer.plan is None
    assert "fewer samples than devices" in answer.reason


def test_an_open_number_of_micro_batches_is_each_planners_best() -> None:
    names = ("data_even", "pipeline_even")
    found = answers(problem(None), names)
    for count in (1, 2, 4, 8):
        for name, one in answers(problem(count), names).items():
            mine = found[name].score
            assert mine is not None
            assert one.score is None or mine <= one.score
