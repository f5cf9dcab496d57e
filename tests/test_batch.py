"""Scores in batches: equal to the one evaluator on random plans of the family, whatever the settings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.random import Generator

from models.cluster import Cluster
from models.errors import InputError
from models.workload import Workload
from solver.batch import BatchScorer, BatchScores, PackedPlans
from solver.job import Job
from solver.lowering import lower
from solver.plan import Plan
from solver.report import Report, make_report
from solver.settings import Settings
from solver.simulate import simulate
from tests import random_plans

PLANS_A_CASE = 6


class Case:
    """Random plans of one family."""

    def __init__(self, seed: int, **extra: Any) -> None:
        rng = np.random.default_rng(seed)
        num_blocks, num_devices = int(rng.integers(2, 12)), int(rng.integers(1, 9))
        self.workload = random_plans.chain(rng, num_blocks, **profiles(rng, num_blocks))
        self.cluster = random_plans.cluster(rng, num_devices)
        self.names = [device.name for device in self.cluster.devices]
        self.samples, self.micro_batches = int(rng.integers(8, 17)), int(rng.integers(1, 10))
        job = random_plans.job(rng, self.samples * self.micro_batches, **extra.pop("job", {}))
        if rng.random() < 0.3:
            job["frozen"] = [f"b{i}" for i in range(int(rng.integers(1, num_blocks)))]
        self.schedule = "gpipe" if rng.random() < 0.3 else "1f1b"
        self.settings = Settings(overlap=seed % 3 > 0, prefetch=seed % 4, sync=seed % 5 > 0)
        self.extra = extra
        self.plans = [
            random_plans.plan([self.pipeline(rng, num_blocks)], job, schedule=self.schedule, **extra)
            for _ in range(PLANS_A_CASE)
        ]

    def pipeline(self, rng: Generator, num_blocks: int) -> dict[str, Any]:
        return random_plans.pipeline(rng, num_blocks, self.names, self.micro_batches, self.samples)

    @property
    def scorer(self) -> BatchScorer:
        return BatchScorer(*self.asked, **self.words)

    @property
    def asked(self) -> tuple[Workload, Cluster, Job]:
        """What a scorer is of; :attr:`words` say of which family."""
        return self.workload, self.cluster, self.plans[0].job

    @property
    def words(self) -> dict[str, Any]:
        return {
            "num_micro_batches": self.micro_batches,
            "samples": self.samples,
            "schedule": "gpipe" if self.schedule == "gpipe" else "1f1b",
            "settings": self.settings,
            "devices": self.plans[0].devices,
            "left_out": self.plans[0].left_out,
        }

    def score(self) -> BatchScores:
        scorer = self.scorer
        return scorer.score(scorer.encode(self.plans), energy=True)

    def reports(self) -> list[Report]:
        return [report(plan, self.workload, self.cluster, self.settings) for plan in self.plans]


def profiles(rng: Generator, num_blocks: int) -> dict[str, Any]:
    """Measured times of some blocks on one kind of device, not in proportion to the samples."""
    if rng.random() < 0.6:
        return {}
    table = {}
    for i in range(0, num_blocks, 2):
        times = np.sort(rng.uniform(1e-4, 1e-2, (2, 3)), axis=1).tolist()
        table[f"b{i}"] = {"samples": [1, 4, 8], "forward_s": times[0], "backward_s": times[1]}
    return {"profiles": {"kind1": table}}


def report(plan: Plan, workload: Workload, cluster: Cluster, settings: Settings) -> Report:
    program = lower(plan, workload, cluster, settings)
    return make_report(plan, cluster, program, simulate(program), ())


def assert_equal(scores: BatchScores, reports: list[Report]) -> None:
    assert scores.energy_j is not None
    np.testing.assert_allclose(scores.step_time_s, [r.step_time_s for r in reports], rtol=1e-9)
    np.testing.assert_allclose(scores.bottleneck_s, [r.bottleneck_s for r in reports], rtol=1e-9)
    np.testing.assert_allclose(scores.energy_j, [r.energy_j for r in reports], rtol=1e-9)
    joules = [[part.total_j for part in r.energy.values()] for r in reports]
    np.testing.assert_allclose(scores.joules, joules, rtol=1e-9)
    assert scores.traffic_bytes is not None and scores.untrusted_bytes is not None
    assert scores.traffic_bytes.tolist() == [r.traffic_bytes for r in reports]
    assert scores.untrusted_bytes.tolist() == [r.untrusted_bytes for r in reports]
    peaks = [[part.peak_bytes for part in r.memory.values()] for r in reports]
    assert scores.peak_bytes.tolist() == peaks
    fits = [all(part.peak_bytes <= part.limit_bytes for part in r.memory.values()) for r in reports]
    assert scores.memory_ok.tolist() == fits


@pytest.mark.parametrize("seed", range(100))
def test_scores_are_the_evaluators(seed: int) -> None:
    case = Case(seed)
    assert_equal(case.score(), case.reports())


@pytest.mark.parametrize("left_out", ["sleep", "off"])
@pytest.mark.parametrize("seed", range(200, 215))
def test_devices_left_out_draw_what_the_plan_says(seed: int, left_out: str) -> None:
    case = Case(seed, left_out=left_out)
    assert_equal(case.score(), case.reports())


def test_some_bytes_go_to_devices_trusted_less() -> None:
    shares = []
    for seed in range(40):
        scores = Case(seed).score()
        assert scores.traffic_bytes is not None and scores.untrusted_bytes is not None
        shares += (scores.untrusted_bytes / np.maximum(scores.traffic_bytes, 1)).tolist()
    assert 0.1 < np.mean(shares) < 0.6


def test_some_plans_fit_and_some_do_not() -> None:
    fits = np.concatenate([Case(seed).score().memory_ok for seed in range(40)])
    assert 0.1 < fits.mean() < 0.9


@pytest.mark.parametrize("seed", range(100, 110))
def test_half_precision_is_scored_alike(seed: int) -> None:
    case = Case(seed, job={"precision": "bf16"})
    assert_equal(case.score(), case.reports())


@pytest.mark.parametrize("seed", range(110, 120))
def test_low_rank_adaptation_is_scored_alike(seed: int) -> None:
    case = Case(seed, job={"tune": "lora", "lora_rank": 4, "trained": ["b0"]})
    plain = case.workload.model_dump()
    for block in plain["blocks"]:
        block["adapters"] = [{"name": "query", "in_features": 64, "out_features": 32, "tokens": 3}]
    case.workload = Workload.model_validate(plain)
    assert_equal(case.score(), case.reports())


@pytest.mark.parametrize("seed", range(120, 130))
def test_power_modes_are_scored_alike(seed: int) -> None:
    case = Case(seed, devices={"d0": {"power_mode": "low"}})
    plain = case.cluster.model_dump()
    plain["devices"][0]["power_modes"] = {"low": {"flop_per_s": {"fp32": 5e9}, "busy_w": 4, "idle_w": 0.5}}
    case.cluster = Cluster.model_validate(plain)
    assert_equal(case.score(), case.reports())


@pytest.mark.parametrize("seed", range(130, 140))
def test_shares_of_a_radio_spectrum_are_scored_alike(seed: int) -> None:
    case = Case(seed)
    gain = {name: 1e-7 * (i + 1) for i, name in enumerate(case.names)}
    radio = {"bandwidth_hz": 2e7, "noise_w_per_hz": 4e-21, "gain": gain, "tx_power_w": 0.1}
    if len(case.names) > 1:
        plain = case.cluster.model_dump()
        plain["links"] = []
        plain["segments"] = [
            {
                "name": "air",
                "kind": "shared",
                "members": case.names,
                "bandwidth_bytes_per_s": 1e7,
                "spectrum": radio,
            }
        ]
        case.cluster = Cluster.model_validate(plain)
        share = {name: {"bandwidth_hz": 1e6, "tx_power_w": 0.2} for name in case.names[::2]}
        case.plans = [Plan.model_validate(plan.model_dump() | {"devices": share}) for plan in case.plans]
    assert_equal(case.score(), case.reports())


@pytest.mark.parametrize("seed", range(20))
def test_plans_survive_the_way_there_and_back(seed: int) -> None:
    case = Case(seed)
    scorer = case.scorer
    packed = scorer.encode(case.plans)
    decoded = [scorer.decode(packed, i) for i in range(len(packed))]
    assert [plan.pipelines for plan in decoded] == [plan.pipelines for plan in case.plans]
    again = scorer.encode(decoded)
    assert again.shares.tolist() == packed.shares.tolist()
    assert again.ends.tolist() == packed.ends.tolist()


def test_a_part_of_a_batch_has_the_same_scores() -> None:
    case = Case(7)
    scorer = case.scorer
    packed = scorer.encode(case.plans)
    whole, part = scorer.score(packed), scorer.score(packed.take([4, 1]))
    assert part.step_time_s.tolist() == whole.step_time_s[[4, 1]].tolist()
    assert part.peak_bytes.tolist() == whole.peak_bytes[[4, 1]].tolist()
    assert part.energy_j is None


def test_an_empty_batch_has_no_scores() -> None:
    scorer = Case(7).scorer
    assert len(scorer.score(scorer.encode([])).step_time_s) == 0


def two_boards() -> BatchScorer:
    rng = np.random.default_rng(0)
    case = Case(0)
    workload, cluster = random_plans.chain(rng, 4), random_plans.cluster(rng, 2)
    return BatchScorer(workload, cluster, case.plans[0].job, num_micro_batches=2, samples=8)


@pytest.mark.parametrize(
    ("num", "ends", "shares", "fault"),
    [
        (0, [0, 0], [[0, 0], [0, 0]], "num_stages"),
        (2, [2, 2], [[8, 0], [0, 8]], "not increasing"),
        (2, [2, 3], [[8, 0], [0, 8]], "number of blocks"),
        (2, [2, 4], [[8, 0], [0, 7]], "do not add up to 8"),
        (1, [4, 0], [[8, 0], [0, 8]], "0 beyond"),
        (2, [2, 4], [[8, 0], [8, 0]], "in two stages"),
        (1, [4, 0], [[9, -1], [0, 0]], "negative"),
    ],
)
def test_an_unsound_plan_is_refused(num: int, ends: list[int], shares: list[list[int]], fault: str) -> None:
    good = ([1], [[4, 0]], [[[8, 0], [0, 0]]])
    wrong = ([num], [ends], [shares])
    packed = PackedPlans(*(np.array(a + b) for a, b in zip(good, wrong, strict=True)))
    with pytest.raises(InputError, match=fault) as caught:
        two_boards().score(packed)
    assert caught.value.faults[0].path == "1"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"schedule": "gpipe"}, "0.schedule"),
        ({"left_out": "off"}, "0.left_out"),
        ({"sync": {"topology": "star", "server": "d0"}}, "0.sync"),
        ({"sync": {"buckets": 2}}, "0.sync"),
    ],
)
def test_a_plan_of_another_family_is_not_encoded(change: dict[str, Any], fault: str) -> None:
    scorer = two_boards()
    plan = scorer.decode(PackedPlans(np.array([1]), np.array([[4]]), np.array([[[5, 3]]])), 0)
    assert scorer.encode([plan]).shares.tolist() == [[[5, 3]]]
    with pytest.raises(InputError) as caught:
        scorer.encode([Plan.model_validate(plan.model_dump() | change)])
    assert [one.path for one in caught.value.faults] == [fault]


def test_groups_must_stand_in_the_order_of_the_cluster() -> None:
    scorer = two_boards()
    plan = scorer.decode(PackedPlans(np.array([1]), np.array([[4]]), np.array([[[5, 3]]])), 0)
    plain = plan.model_dump()
    plain["pipelines"][0]["stages"][0]["shares"] = {"d1": 3, "d0": 5}
    with pytest.raises(InputError, match="order of the cluster"):
        scorer.encode([Plan.model_validate(plain)])


def test_a_group_with_a_ring_of_its_own_is_not_encoded() -> None:
    scorer = two_boards()
    plain = scorer.decode(PackedPlans(np.array([1]), np.array([[4]]), np.array([[[5, 3]]])), 0).model_dump()
    plain["pipelines"][0]["stages"][0]["ring"] = ("d1", "d0")
    with pytest.raises(InputError, match="and ring"):
        scorer.encode([Plan.model_validate(plain)])


def test_what_the_family_does_not_cover_is_refused() -> None:
    case = Case(0)
    workload = random_plans.dag(np.random.default_rng(3), 8)
    job = case.plans[0].job.model_copy(update={"kind": "serve"})
    with pytest.raises(InputError) as caught:
        BatchScorer(workload, case.cluster, job, num_micro_batches=2, samples=8)
    assert {fault.path for fault in caught.value.faults} == {"job.kind", "workload.edges"}
