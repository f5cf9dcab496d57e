"""Piper's planner against all sequences of stages, with all replicas, degrees and variants."""

from __future__ import annotations

import json
import math
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from models.formats import piper
from solver.algorithms import piper as algorithm
from solver.plan import Plan
from solver.problem import Problem
from solver.search.measured import stages as measured_stages
from solver.search.measured.stage_plan import ReplicatedStage, replicated_plan
from solver.solve import solve
from solver.status import Solution, Status
from tests.lowering.test_stage_loads import gpus, problem
from tests.suites.published_rules import random_piper


def random_problem(seed: int, folder: Path, num_devices: int = 4) -> Problem:
    rng = np.random.default_rng(seed)
    path = folder / "random.json"
    path.write_text(json.dumps(random_piper(rng, int(rng.integers(1, 5)))))
    given = piper.read(path)
    return problem(
        given.workload, gpus(num_devices, memory_bytes=int(rng.integers(20, 160))), given.batch, "piper"
    )


def brute_force(what: Problem) -> float:
    """Try everything; the load of one stage is the evaluator's, of a plan of nothing but sound stages."""
    work, num_devices = what.workload, len(what.usable)
    needs = {name: {edge.source for edge in work.predecessors[name]} for name in work.order}
    memory = what.cluster.devices[0].memory_bytes.value

    def ideals_with(done: frozenset[str]) -> list[frozenset[str]]:
        rest = [name for name in work.order if name not in done]
        sets = [
            done | {n for n, has in zip(rest, flags, strict=True) if has}
            for flags in product((0, 1), repeat=len(rest))
        ]
        return [one for one in sets if one != done and all(needs[name] <= one for name in one)]

    @cache
    def load(blocks: frozenset[str], d: int, t: int, in_flight: int) -> float:
        order = tuple(name for name in work.order if name in blocks)
        best = math.inf
        for chosen in product(*(range(len(work.by_name[name].variants[t])) for name in order)):
            variants = [work.by_name[name].variants[t][v] for name, v in zip(order, chosen, strict=True)]
            if sum(v.in_flight_bytes * in_flight + v.fixed_bytes for v in variants) > memory:
                continue
            moved = 0.0
            for name, variant in zip(order, variants, strict=True):
                ends = [(e, e.source) for e in work.predecessors[name]]
                ends += [(e, e.target) for e in work.successors[name]]
                moved += sum(
                    e.measured_bytes + variant.sync_bytes.get(o, 0) for e, o in ends if o not in blocks
                )
            sync = 4 * (d - 1) / d * sum(v.parameter_bytes for v in variants) / what.job.batch
            best = min(best, sum(v.time_s for v in variants) / d + (2 * moved / d + sync) / 20)
        return best

    @cache
    def least(done: frozenset[str], devices: int, later: int) -> float:
        """Stages are listed from the first; `later` is the sum of d of those to come, fixed beforehand."""
        if len(done) == len(work.order):
            return 0.0 if later == 0 else math.inf
        best = math.inf
        for after in ideals_with(done):
            for d, t in product(range(1, later + 1), (1, 2)):
                if what.job.batch % d == 0 and d * t <= devices:
                    own = load(after - done, d, t, -(-later // d))
                    if own < best:
                        best = min(best, max(own, least(after, devices - d * t, later - d)))
        return best

    return min(least(frozenset(), num_devices, later) for later in range(1, num_devices + 1))


@pytest.mark.parametrize("seed", range(60))
def test_equals_brute_force(seed: int, tmp_path: Path) -> None:
    what = random_problem(seed, tmp_path)
    wanted, found = brute_force(what), solve(what, "piper")
    if math.isinf(wanted):
        assert found.status is Status.INFEASIBLE
        assert "memory" in found.reason and "bytes" in found.reason
    else:
        assert found.status is Status.OPTIMAL
        assert found.score == pytest.approx(wanted, rel=1e-9)
        assert found.bound is not None and found.bound <= wanted * (1 + 1e-12)


@pytest.mark.parametrize("most_points", [1, 4])
def test_stages_that_are_too_long_to_list(
    most_points: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proven: dict[bool, list[bool]] = {True: [], False: []}
    for seed in range(60):
        what = random_problem(seed, tmp_path)
        wanted = solve(what, "piper")
        with monkeypatch.context() as patch:
            patch.setattr(measured_stages, "MOST_POINTS", most_points)
            found = solve(what, "piper")
        if wanted.score is None:
            assert found.plan is None
        else:
            assert found.bound is not None and found.score is not None
            assert found.bound <= wanted.score * (1 + 1e-9) and found.score >= wanted.score * (1 - 1e-9)
        assert found.status is not Status.OPTIMAL or found.score == pytest.approx(wanted.score, rel=1e-9)
        tables = [given for block in what.workload.blocks for given in block.variants.values()]
        are_same = all(len({variant.parameter_bytes for variant in given}) == 1 for given in tables)
        proven[are_same].append(found.status in (Status.OPTIMAL, Status.INFEASIBLE))
    assert len(proven[True]) > 20 and all(proven[True]) and any(proven[False])


def test_both_answers_occur(tmp_path: Path) -> None:
    statuses = {solve(random_problem(seed, tmp_path), "piper").status for seed in range(60)}
    assert statuses == {Status.OPTIMAL, Status.INFEASIBLE}


@pytest.mark.parametrize("seed", range(6))
def test_more_memory_and_more_devices_are_never_worse(seed: int, tmp_path: Path) -> None:
    few = solve(random_problem(seed, tmp_path), "piper")
    many = solve(random_problem(seed, tmp_path, num_devices=6), "piper")
    assert (many.score or math.inf) <= (few.score or math.inf) * (1 + 1e-9)


def test_the_step_is_the_bottleneck_times_the_batch(tmp_path: Path) -> None:
    what = random_problem(2, tmp_path)
    slow = Problem(what.workload, what.cluster, what.job, "time", num_micro_batches=1, settings=what.settings)
    bottleneck, step = solve(what, "piper"), solve(slow, "piper")
    assert step.status is Status.OPTIMAL and bottleneck.score is not None
    assert step.score == pytest.approx(bottleneck.score * what.job.batch, rel=1e-9)


def feasible(folder: Path, **words: object) -> Problem:
    """A chain of six blocks of which every cut fits."""
    rng = np.random.default_rng(5)
    (folder / "six.json").write_text(json.dumps(random_piper(rng, 6)))
    given = piper.read(folder / "six.json")
    return problem(given.workload, gpus(8, **words), given.batch, "piper")


def one_stage(what: Problem) -> Plan:
    return replicated_plan(what, [ReplicatedStage(what.workload.order, 1)])


def test_a_start_that_is_best_already_is_proven(tmp_path: Path) -> None:
    what = feasible(tmp_path)
    first = solve(what, "piper")
    again = solve(what, "piper", start=first.plan)
    assert again.status is Status.OPTIMAL and again.score == first.score
    worse = solve(what, "piper", start=one_stage(what))
    assert worse.score == pytest.approx(first.score, rel=1e-12)


def test_a_bound_is_valid_when_work_ends_early(tmp_path: Path) -> None:
    what = feasible(tmp_path)
    best = solve(what, "piper")
    assert best.score is not None
    statuses = set()
    for work in range(5, 90, 3):
        part = solve(what, "piper", work_limit=work)
        statuses.add(part.status)
        assert part.bound is None or part.bound <= best.score * (1 + 1e-9)
        assert part.score is None or part.score >= best.score * (1 - 1e-9)
    assert {Status.UNKNOWN, Status.FEASIBLE, Status.OPTIMAL} <= statuses


def test_too_many_ideals_leave_no_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    what = feasible(tmp_path)
    best = solve(what, "piper")
    monkeypatch.setattr(algorithm, "MOST_IDEALS", 3)
    found = solve(what, "piper")
    assert found.status is Status.FEASIBLE and found.bound is None
    assert (found.score or 0) >= (best.score or 0) * (1 - 1e-9)
    assert "only prefixes" in found.reason


def test_a_block_that_fits_nowhere_is_named(tmp_path: Path) -> None:
    found = solve(feasible(tmp_path, memory_bytes=1), "piper")
    assert found.status is Status.INFEASIBLE
    assert "alone needs" in found.reason and "a device has 1" in found.reason


def declined(what: Problem) -> Solution:
    found = solve(what, "piper")
    assert found.status is Status.DECLINED
    return found


def test_declines_what_the_rule_does_not_know(tmp_path: Path) -> None:
    what = feasible(tmp_path)
    energy = Problem(
        what.workload, what.cluster, what.job, "energy", num_micro_batches=1, settings=what.settings
    )
    assert "objective" in declined(energy).reason
    split = Problem(
        what.workload, what.cluster, what.job, "time", num_micro_batches=2, settings=what.settings
    )
    assert "1 micro-batch" in declined(split).reason
