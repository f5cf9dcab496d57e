"""PipeDream's optimiser against all sequences of stages, and a case by hand."""

from __future__ import annotations

import math
from functools import cache
from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest

from models.formats import pipedream
from models.synthetic import random_chain, random_cluster
from solver.algorithms import pipedream as algorithm
from solver.job import Job
from solver.plan import share_devices
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.literature.pipedream_chain import pipedream_stages
from solver.search.measured.stage_plan import even_shares
from solver.settings import Settings
from solver.solve import solve
from solver.status import Status
from tests.algorithms.cases import chain, cluster, placed
from tests.lowering.test_stage_loads import gpus, problem
from tests.suites.published_rules import pipedream_value, random_pipedream


def random_profile(seed: int, folder: Path, num_devices: int = 4) -> tuple[Problem, str]:
    rng = np.random.default_rng(seed)
    text = random_pipedream(rng, int(rng.integers(1, 6)))
    (folder / "random.txt").write_text(text)
    work = pipedream.read(folder / "random.txt")
    return problem(work, gpus(num_devices, rate=1e9), num_devices, "pipedream"), text


def brute_force(what: Problem, text: str) -> float:
    """Put blocks into stages in every way whose edges go forward, with all numbers of replicas."""
    order, num_devices = what.workload.order, len(what.usable)
    best = math.inf
    for num_stages in range(1, min(len(order), num_devices) + 1):
        for where in product(range(num_stages), repeat=len(order)):
            place = dict(zip(order, where, strict=True))
            if len(set(where)) < num_stages or any(
                place[e.source] > place[e.target] for e in what.workload.edges
            ):
                continue
            for counts in product(range(1, num_devices + 1), repeat=num_stages):
                if sum(counts) <= num_devices:
                    stages = [
                        {"nodes": [n for n in order if place[n] == s], "replicas": r}
                        for s, r in enumerate(counts)
                    ]
                    words = {"num_devices": num_devices, "bandwidth_bytes_per_s": 10**9}
                    best = min(best, pipedream_value(text, {"stages": stages, **words}))
    return best


@pytest.mark.parametrize("seed", range(25))
def test_equals_brute_force_under_the_published_rule(seed: int, tmp_path: Path) -> None:
    what, text = random_profile(seed, tmp_path)
    found = solve(what, "pipedream")
    assert found.status is Status.OPTIMAL
    assert found.score == pytest.approx(brute_force(what, text), rel=1e-9)


def test_fewer_devices_where_that_is_better(tmp_path: Path) -> None:
    """1 s of work, 1 GB of weights at 1 GB/s: two replicas take (1 + 4 x 1/2 x 1) / 2 = 1.5 s."""
    figures = "forward_compute_time=400, backward_compute_time=600, activation_size=1, parameter_size=1e9"
    (tmp_path / "one.txt").write_text(f"node1 -- Linear -- {figures}\n")
    what = problem(pipedream.read(tmp_path / "one.txt"), gpus(2, rate=1e9), 2, "pipedream")
    found = solve(what, "pipedream")
    assert found.status is Status.OPTIMAL and found.score == pytest.approx(1.0)
    assert placed(found.plan) == [("node1", "gpu0")]


def test_too_many_ideals_leave_no_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    what, _ = random_profile(1, tmp_path)
    monkeypatch.setattr(algorithm, "MOST_IDEALS", 1)
    found = solve(what, "pipedream")
    assert found.status is Status.FEASIBLE and found.bound is None and "prefixes" in found.reason


def test_declines_unequal_devices_and_other_rules(tmp_path: Path) -> None:
    what, _ = random_profile(1, tmp_path)
    boards = what.cluster.model_dump(mode="json")
    boards["devices"][0]["kind"] = "other"
    mixed = problem(what.workload, type(what.cluster).model_validate(boards), 4, "pipedream")
    assert solve(mixed, "pipedream").status is Status.DECLINED
    assert solve(problem(what.workload, what.cluster, 4, "piper"), "pipedream").status is Status.DECLINED
    assert solve(what, "piper").status is Status.DECLINED


def test_replicates_the_heavy_blocks_by_hand() -> None:
    """Equal boards x, y, z of 1 flop/s; a takes 8 s, b 4 s; batch 2 in one micro-batch; 4 bytes/s, 1-byte
    weights: [a on x y][b on z] has max(8, 4 x 1/2 x 1/4 = 0.5, b: 8, 2 x 2 / 4 = 1) = 8; a on one board has
    16; a and b on all three would need three samples.
    """
    work = chain(2)
    blocks = [block.model_dump() for block in work.blocks]
    blocks[0].update(forward_flop=4.0, backward_weight_flop=4.0)
    work = type(work).model_validate(
        {"name": "w", "blocks": blocks, "edges": [e.model_dump() for e in work.edges]}
    )
    what = Problem(work, cluster({"x": 1, "y": 1, "z": 1}, rate=4), Job(batch=2), num_micro_batches=1)
    assert placed(solve(what, "pipedream").plan) == [("a", "x+y"), ("b", "z")]


def rule_value(what: Problem, count: int, stages: tuple[tuple[int, int, int], ...]) -> float:
    """Return PipeDream's slowest part for (first block, end, devices) in order."""
    work, samples = what.workload, what.job.batch // count
    order, names = work.order, what.usable
    slowest, device = 0.0, 0
    for start, end, size in stages:
        group = names[device : device + size]
        for name, share in zip(group, even_shares(samples, size), strict=True):
            times = [what.costs.time_s(b, what.cluster.by_name[name], share) for b in order[start:end]]
            slowest = max(slowest, sum(f + b for f, b in times))
        if size > 1:
            rate = min(what.cluster.link(a, b).bytes_per_s for a, b in combinations(group, 2))
            weights = sum(what.costs.block(b).trained_bytes for b in order[start:end])
            slowest = max(slowest, 4 * (size - 1) / size * weights / rate / count)
        if device:
            rate = what.cluster.link(names[device - 1], names[device]).bytes_per_s
            slowest = max(slowest, 2 * what.costs.block(order[start - 1]).output_bytes * samples / rate)
        device += size
    return slowest


@pytest.mark.parametrize("seed", range(30))
def test_equals_brute_force_on_unequal_chains(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count = int(rng.choice([1, 2, 4]))
    links = str(rng.choice(["switch", "pairs"]))
    job = Job(batch=count * int(rng.integers(1, 5)))
    what = Problem(
        random_chain(rng, int(rng.integers(1, 6))),
        random_cluster(rng, 4, links),
        job,
        num_micro_batches=count,
    )
    num_blocks, samples = len(what.workload.order), job.batch // count

    @cache
    def all_ways(start: int, devices: int) -> tuple[tuple[tuple[int, int, int], ...], ...]:
        if start == num_blocks:
            return ((),) if devices == 0 else ()
        return tuple(
            ((start, end, size), *rest)
            for end in range(start + 1, num_blocks + 1)
            for size in range(1, min(devices, samples) + 1)
            for rest in all_ways(end, devices - size)
        )

    used = max(q for q in range(5) if all_ways(0, q))
    wanted = min(rule_value(what, count, ways) for ways in all_ways(0, used))
    stages = pipedream_stages(what, Search(what), count)
    ends = np.cumsum([0, *(len(stage.blocks) for stage in stages)]).tolist()
    found = tuple((ends[i], ends[i + 1], stage.num_replicas) for i, stage in enumerate(stages))
    assert rule_value(what, count, found) == pytest.approx(wanted, rel=1e-9)
    assert sum(stage.num_replicas for stage in stages) == used


def test_all_devices_are_used_and_memory_is_not_looked_at() -> None:
    what = Problem(
        chain(4), cluster({"x": 1, "y": 1, "z": 1}), Job(batch=6), num_micro_batches=2, settings=Settings()
    )
    found = solve(what, "pipedream")
    assert found.plan is not None
    stages = found.plan.pipelines[0].stages
    assert sorted(name for stage in stages for name in share_devices(stage.shares)) == ["x", "y", "z"]
    tight = Problem(chain(4), cluster({"x": 1, "y": 1}, memory={"x": 2, "y": 2}), Job(batch=2))
    refused = solve(tight, "pipedream")
    assert refused.plan is None and "memory" in refused.reason
