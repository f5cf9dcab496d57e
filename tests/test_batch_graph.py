"""Scores of graphs in batches: equal to the one evaluator on random plans of random DAGs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.random import Generator

from models.cluster import Cluster
from models.errors import InputError
from models.workload import Workload
from solver.batch import BatchScores
from solver.batch_graph import GraphScorer
from solver.report import Report
from tests import random_plans
from tests.test_batch import Case, assert_equal


class GraphCase(Case):
    """Random plans of one family over a DAG: edges skip blocks, branches have sinks of their own."""

    def __init__(self, seed: int, **extra: Any) -> None:
        super().__init__(seed, **extra)
        rng = np.random.default_rng(1000 + seed)
        profiles = {"profiles": self.workload.model_dump()["profiles"]}
        graph = random_plans.dag(rng, len(self.workload.blocks)).model_dump()
        plain = self.workload.model_dump() | {"edges": graph["edges"]} | profiles
        self.workload = Workload.model_validate(plain)
        self.plans = [self._in_order(rng, plan.model_dump(), len(plain["blocks"])) for plan in self.plans]

    def _in_order(self, rng: Generator, plain: dict[str, Any], num_blocks: int) -> Any:
        """The same plan, cut along the topological order of the DAG."""
        order = list(self.workload.order)
        for stage in plain["pipelines"][0]["stages"]:
            stage["blocks"] = [order.pop(0) for _ in stage["blocks"]]
        return type(self.plans[0]).model_validate(plain)

    @property
    def scorer(self) -> GraphScorer:
        return GraphScorer(*self.asked, **self.words)


def assert_same(scores: BatchScores, reports: list[Report]) -> None:
    """Times to the last bit: the same functions order and walk both."""
    assert_equal(scores, reports)
    assert scores.step_time_s.tolist() == [report.step_time_s for report in reports]
    assert scores.bottleneck_s.tolist() == [report.bottleneck_s for report in reports]


def with_raw_data(case: GraphCase, seed: int) -> None:
    """Give some blocks raw data that may leave, and some devices that data."""
    rng = np.random.default_rng(seed)
    plain, boards = case.workload.model_dump(), case.cluster.model_dump()
    kinds = ["camera", "microphone"]
    for block in plain["blocks"]:
        if rng.random() < 0.4:
            data = {"name": str(rng.choice(kinds)), "bytes_per_sample": int(rng.integers(0, 50_000))}
            block["data"] = data | {"may_leave": True}
    for board in boards["devices"]:
        board["data"] = [kind for kind in kinds if rng.random() < 0.4]
    case.workload, case.cluster = Workload.model_validate(plain), Cluster.model_validate(boards)


@pytest.mark.parametrize("seed", range(80))
def test_scores_are_the_evaluators(seed: int) -> None:
    case = GraphCase(seed)
    assert_same(case.score(), case.reports())


@pytest.mark.parametrize("seed", range(100, 130))
def test_owners_of_raw_data_are_scored_alike(seed: int) -> None:
    case = GraphCase(seed)
    with_raw_data(case, seed)
    assert_same(case.score(), case.reports())


def test_some_raw_data_is_sent() -> None:
    raw = []
    for seed in range(100, 130):
        case = GraphCase(seed)
        with_raw_data(case, seed)
        raw += [report.raw_bytes > 0 for report in case.reports()]
    assert 0.3 < np.mean(raw) < 1


@pytest.mark.parametrize("seed", range(20))
def test_a_chain_is_a_graph_too(seed: int) -> None:
    case, chain = GraphCase(seed), Case(seed)
    case.workload, case.plans = chain.workload, chain.plans
    assert_same(case.score(), chain.reports())


@pytest.mark.parametrize("left_out", ["sleep", "off"])
@pytest.mark.parametrize("seed", range(200, 208))
def test_devices_left_out_draw_what_the_plan_says(seed: int, left_out: str) -> None:
    case = GraphCase(seed, left_out=left_out)
    assert_same(case.score(), case.reports())


@pytest.mark.parametrize("seed", range(300, 308))
def test_half_precision_is_scored_alike(seed: int) -> None:
    case = GraphCase(seed, job={"precision": "bf16"})
    assert_same(case.score(), case.reports())


def test_some_stages_have_several_before_them() -> None:
    """Else the cases would say little about graphs."""
    joins = 0
    for seed in range(40):
        case = GraphCase(seed)
        for report in case.reports():
            into: dict[int, set[int]] = {}
            for row in report.program.rows:
                for part in row.slices if row.phase == "forward" and row.kind.name == "RECV" else ():
                    into.setdefault(row.unit, set()).add(case.workload.order.index(part.block))
            joins += any(len(blocks) > 1 for blocks in into.values())
    assert joins > 20


def test_a_graph_with_experts_is_not_of_the_family() -> None:
    case = GraphCase(3)
    plain = case.workload.model_dump()
    plain["blocks"][1]["capacity"] = 0.5
    case.workload = Workload.model_validate(plain)
    with pytest.raises(InputError) as caught:
        _ = case.scorer
    assert [fault.path for fault in caught.value.faults] == ["workload.blocks.1.capacity"]


def test_times_beyond_the_table_are_found_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    case = GraphCase(11)
    monkeypatch.setattr("solver.batch_graph_tables.MOST_TIMES", 1)
    scorer = case.scorer
    packed = scorer.encode(case.plans)
    first, again = scorer.score(packed), scorer.score(packed)
    assert first.step_time_s.tolist() == again.step_time_s.tolist()
    assert first.step_time_s.tolist() == [report.step_time_s for report in case.reports()]


@pytest.mark.parametrize("seed", range(5))
def test_another_number_of_micro_batches_needs_no_new_tables(seed: int) -> None:
    case = GraphCase(seed)
    other = case.scorer.with_samples(1, case.samples * case.micro_batches)
    case.samples, case.micro_batches = other.samples, 1
    rng = np.random.default_rng(seed)
    plain = case.plans[0].model_dump()
    for i in range(len(case.plans)):
        plain["pipelines"] = [case.pipeline(rng, len(case.workload.blocks))]
        case.plans[i] = case._in_order(rng, plain, len(case.workload.blocks))
    assert_same(other.score(other.encode(case.plans), energy=True), case.reports())
