"""Stage loads: the evaluator under a published rule against the rule written down once more."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.cluster import Cluster
from models.errors import InputError
from models.formats import pipedream, piper
from models.workload import Workload
from solver.batch import BatchScorer
from solver.check import check
from solver.evaluate import judge
from solver.execution.support import check_executable
from solver.job import Job
from solver.plan import Plan
from solver.problem import Problem
from solver.search.measured.stage_plan import ReplicatedStage, replicated_plan
from solver.settings import Settings
from solver.suites import pipedream as pipedream_suite
from solver.suites import piper as piper_suite
from solver.suites.case import Case
from tests.suites.published_rules import pipedream_value, piper_value, random_pipedream, random_piper

RATE = 20


def gpus(num: int, memory_bytes: float = 1e9, kind: str = pipedream.KIND, rate: float = RATE) -> Cluster:
    names = [f"gpu{i}" for i in range(num)]
    devices = [
        {"name": name, "kind": kind, "flop_per_s": {"fp32": 1.0}, "memory_bytes": memory_bytes}
        for name in names
    ]
    switch = {"name": "switch", "members": names, "bandwidth_bytes_per_s": rate}
    return Cluster.model_validate(
        {"name": "gpus", "devices": devices, "segments": [switch] if num > 1 else []}
    )


def problem(workload: Workload, cluster: Cluster, batch: int, rule: Any) -> Problem:
    settings = Settings(rule=rule)
    return Problem(workload, cluster, Job(batch=batch), "bottleneck", num_micro_batches=1, settings=settings)


def random_stages(
    rng: np.random.Generator,
    workload: Workload,
    num_devices: int,
    counts: list[int],
    degrees: tuple[int, ...],
) -> list[ReplicatedStage]:
    """Cut the topological order anywhere, with any replicas, degrees and variants that there is room for."""
    order = workload.order
    cuts = [0, *sorted(set(rng.integers(1, len(order) + 1, 2).tolist()) - {len(order)}), len(order)]
    left, stages = num_devices - (len(cuts) - 1), []
    for start, end in pairwise(cuts):
        fits = [(d, t) for d in counts for t in degrees if d * t - 1 <= left]
        d, t = fits[int(rng.integers(len(fits)))]
        left -= d * t - 1
        blocks = order[start:end]
        given = {name: len(workload.by_name[name].variants.get(t, ())) for name in blocks}
        variants = {name: int(rng.integers(num)) for name, num in given.items() if num}
        stages.append(ReplicatedStage(blocks, d, t, variants))
    return stages


@pytest.mark.parametrize("seed", range(60))
def test_piper_is_the_published_formula(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    data = random_piper(rng, int(rng.integers(1, 8)), (1, 2, 3))
    path = tmp_path / "any.json"
    path.write_text(json.dumps(data))
    given = piper.read(path)
    num_devices = int(rng.integers(4, 12))
    what = problem(given.workload, gpus(num_devices), given.batch, "piper")
    counts = [d for d in (1, 2, 3, 4, 6) if given.batch % d == 0]
    stages = random_stages(rng, given.workload, num_devices, counts, (1, 2, 3))
    plan = replicated_plan(what, stages)
    check(plan, what.workload, what.cluster)
    report, score = judge(what, plan)
    case = Case("piper", "any", str(path), parameters={"max_devices": num_devices, "memory_gib": 1})
    seconds, memory_bytes = piper_value(data, piper_suite.document(case, plan, score), RATE)
    assert score == pytest.approx(seconds, rel=1e-12)
    assert report.peak_memory_bytes == memory_bytes
    assert report.step_time_s == pytest.approx(seconds * given.batch, rel=1e-12)
    assert report.samples_per_s == pytest.approx(1 / seconds, rel=1e-12)
    assert Plan.model_validate_json(plan.to_json()) == plan


@pytest.mark.parametrize("seed", range(30))
def test_pipedream_is_the_published_formula(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    text = random_pipedream(rng, int(rng.integers(1, 8)))
    path = tmp_path / "any.txt"
    path.write_text(text)
    workload = pipedream.read(path)
    num_devices = int(rng.integers(3, 9))
    what = problem(workload, gpus(num_devices, rate=1e9), num_devices, "pipedream")
    plan = replicated_plan(what, random_stages(rng, workload, num_devices, [1, 2, 3, 4], (1,)))
    report, score = judge(what, plan)
    case = Case("pipedream", "any", str(path), parameters={"num_devices": num_devices})
    document = pipedream_suite.document(case, plan, score)
    assert score == pytest.approx(pipedream_value(text, document), rel=1e-12)
    assert report.step_time_s == pytest.approx(score * num_devices, rel=1e-12)


def test_two_stages_by_hand() -> None:
    """Blocks a, b; b on 2 replicas of 1 device, a on 1 replica of 2; batch 4; 20 bytes/s.

    a: y = ceil(3 / 1) = 3: memory 3 x 10 + 5; time 6 + 2 x (30 + 4) / 20 = 9.4
    b: y = ceil(2 / 2) = 1: memory 1 x 8 + 1; time 8 / 2 + (2 x 30 / 2 + 4 x 1 / 2 x 16 / 4) / 20 = 5.9
    """
    heads = {"heads": 2, "weight_bytes": 0}
    a = {"name": "m", "time_s": 6, "in_flight_bytes": 10, "fixed_bytes": 5, "sync_bytes": {"b": 4}}
    b = {"name": "m", "time_s": 8, "in_flight_bytes": 8, "fixed_bytes": 1, "parameter_bytes": 16}
    workload = Workload.model_validate(
        {
            "name": "two",
            "blocks": [
                {"name": "a", "forward_flop": 0, "tensor": heads, "variants": {2: [a]}},
                {"name": "b", "forward_flop": 0, "variants": {1: [b]}},
            ],
            "edges": [{"source": "a", "target": "b", "measured_bytes": 30}],
        }
    )
    what = problem(workload, gpus(4), 4, "piper")
    stages = [ReplicatedStage(("a",), 1, 2), ReplicatedStage(("b",), 2)]
    report, score = judge(what, replicated_plan(what, stages))
    assert score == pytest.approx(9.4)
    assert {name: part.peak_bytes for name, part in report.memory.items()} == {
        "gpu0": 35,
        "gpu1": 35,
        "gpu2": 9,
        "gpu3": 9,
    }
    assert report.busy_s["gpu3"] == pytest.approx(4 * 5.9)
    what = problem(workload, gpus(4, memory_bytes=34), 4, "piper")
    tight, _ = judge(what, replicated_plan(what, stages))
    assert [(v.limit, v.where, v.given) for v in tight.violations] == [
        ("memory", "gpu0", 35),
        ("memory", "gpu1", 35),
    ]


def sound(tmp_path: Path) -> tuple[Problem, Plan]:
    data = random_piper(np.random.default_rng(3), 3) | {"mbsInBatch": 4}
    (tmp_path / "x.json").write_text(json.dumps(data))
    given = piper.read(tmp_path / "x.json")
    what = problem(given.workload, gpus(5), given.batch, "piper")
    order = given.workload.order
    stages = [ReplicatedStage(order[:1], 2, 1), ReplicatedStage(order[1:], 1, 2)]
    return what, replicated_plan(what, stages)


def changed(plan: Plan, stage: int, **words: Any) -> Plan:
    data = plan.model_dump(mode="json", exclude_defaults=True)
    data["pipelines"][0]["stages"][stage].update(words)
    return Plan.model_validate(data)


@pytest.mark.parametrize(
    ("stage", "words", "message"),
    [
        (0, {"shares": {"gpu0": 1, "gpu1": 3}}, "shares evenly; given 1 to 3 samples"),
        (0, {"in_flight": 2}, "has its own: leave it out"),
        (0, {"variants": {"<first>": 7}}, "no variant 7"),
        (0, {"shares": {"gpu0": 2, "gpu2": 2}}, "one stage a device; in several: gpu2"),
        (0, {"shares": {"gpu0": {"samples": 4, "mode": "data", "shares": {"gpu1": 4}}}}, "need mode tensor"),
    ],
)
def test_what_a_rule_does_not_know_is_refused(
    stage: int, words: dict[str, Any], message: str, tmp_path: Path
) -> None:
    what, plan = sound(tmp_path)
    assert plan.job.batch == 4 and np.isfinite(judge(what, plan)[1])
    words = json.loads(json.dumps(words).replace("<first>", plan.pipelines[0].stages[0].blocks[0]))
    with pytest.raises(InputError, match=message):
        judge(what, changed(plan, stage, **words))


def test_stages_out_of_order_are_refused() -> None:
    blocks = [{"name": n, "forward_flop": 0, "variants": {1: [{"name": "m", "time_s": 1}]}} for n in "ab"]
    workload = Workload.model_validate(
        {"name": "w", "blocks": blocks, "edges": [{"source": "a", "target": "b"}]}
    )
    what = problem(workload, gpus(2), 4, "piper")
    plan = replicated_plan(what, [ReplicatedStage(("b",), 1), ReplicatedStage(("a",), 1)])
    with pytest.raises(InputError, match="edge a -> b goes back to stage 0"):
        judge(what, plan)


def test_every_fault_is_listed(tmp_path: Path) -> None:
    what, plan = sound(tmp_path)
    plan = changed(changed(plan, 0, in_flight=1), 1, recompute=[plan.pipelines[0].stages[1].blocks[0]])
    with pytest.raises(InputError) as found:
        judge(what, plan)
    assert [fault.path for fault in found.value.faults] == [
        "pipelines.0.stages.0.in_flight",
        "pipelines.0.stages.1.recompute",
    ]


def test_variants_are_checked_and_not_run(tmp_path: Path) -> None:
    what, plan = sound(tmp_path)
    with pytest.raises(InputError, match="is not in this stage"):
        check(changed(plan, 0, variants={"nothing": 0}), what.workload, what.cluster)
    block = plan.pipelines[0].stages[0].blocks[0]
    with pytest.raises(InputError, match="variants: measured variants belong to a published cost rule"):
        check_executable(changed(plan, 0, variants={block: 0}), what.workload, what.cluster)


def test_plans_without_variants_are_written_as_before(tmp_path: Path) -> None:
    _, plan = sound(tmp_path)
    assert "variants" not in plan.to_json()
    block = plan.pipelines[0].stages[0].blocks[0]
    text = changed(plan, 0, variants={block: 1}).to_json()
    assert Plan.model_validate_json(text).to_json() == text and '"variants"' in text


def test_batches_are_refused() -> None:
    block = {"name": "a", "forward_flop": 1, "weight_bytes": 4}
    workload = Workload.model_validate({"name": "w", "blocks": [block]})
    with pytest.raises(InputError, match="the rule piper is not scored in batches"):
        BatchScorer(
            workload,
            gpus(2),
            Job(batch=2),
            num_micro_batches=1,
            samples=2,
            settings=Settings(rule="piper"),
        )
