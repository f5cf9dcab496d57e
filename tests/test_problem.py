"""Problem: who may take part, who must, and every fault of what is asked."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pytest

from models.document import validate
from models.errors import InputError
from solver.evaluate import judge
from solver.job import Job
from solver.plan import Stage, participants_of, pipeline_plan
from solver.problem import Problem
from solver.repair.remaining import without
from solver.solve import solve
from solver.status import Status
from tests import random_plans
from tests.language.cases import block, cluster, device, workload


def problem(seed: int = 0, **words: object) -> Problem:
    """Five blocks over three unequal boards d0, d1, d2; batch of 4 in one or two micro-batches."""
    rng = np.random.default_rng(seed)
    net, boards = random_plans.chain(rng, 4), random_plans.cluster(rng, 3)
    return Problem(net, boards, Job(batch=4), num_micro_batches=2, **words)


def test_only_participants_are_usable_in_the_order_of_the_cluster() -> None:
    assert problem(participants=frozenset({"d2", "d0"})).usable == ("d0", "d2")


def test_unknown_participants_and_nobody_are_faults() -> None:
    with pytest.raises(InputError, match="no device is called 'd9'"):
        problem(participants=frozenset({"d0", "d9"}))
    with pytest.raises(InputError, match="nobody may take part"):
        problem(participants=frozenset())
    with pytest.raises(InputError, match="no participant of cluster random has a speed for fp16"):
        replace(problem(), job=Job(batch=4, precision="fp16"), participants=frozenset({"d0"}))


def test_who_may_not_take_part_and_who_must_and_does_not_are_broken_limits() -> None:
    only_two = problem(participants=frozenset({"d0", "d1"}), all_take_part=True)
    stage = Stage(blocks=only_two.workload.order, shares={"d1": 1, "d2": 1})
    plan = pipeline_plan(only_two, [stage], 2)
    assert participants_of(plan) == {"d1", "d2"}
    broken = [(v.limit, v.where) for v in judge(only_two, plan)[0].violations if v.limit != "memory"]
    assert broken == [("participants", "d2"), ("participants", "d0")]


@pytest.mark.parametrize("seed", range(4))
def test_a_subset_is_planned_as_if_the_others_were_not_there(seed: int) -> None:
    """Step time: the left-out boards neither compute nor send, so a cluster without them says the same."""
    whole = problem(seed)
    part = replace(whole, participants=frozenset({"d0", "d2"}))
    alone = replace(whole, cluster=without(whole.cluster, ["d1"]))
    ours, theirs = (solve(one, "hybrid_exact") for one in (part, alone))
    assert ours.status is theirs.status
    if theirs.score is not None:
        assert ours.status is Status.OPTIMAL
        assert ours.score == pytest.approx(theirs.score, rel=1e-12)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("objective", ["time", "energy"])
def test_the_best_of_all_subsets_that_must_be_used_is_the_best_there_is(seed: int, objective: str) -> None:
    whole = problem(seed, objective=objective)
    names = whole.usable
    subsets = [frozenset(s) for n in (1, 2, 3) for s in combinations(names, n)]
    forced = [
        solve(replace(whole, participants=subset, all_take_part=True), "hybrid_exact") for subset in subsets
    ]
    best = solve(whole, "hybrid_exact")
    scores = [one.score for one in forced if one.score is not None]
    for subset, one in zip(subsets, forced, strict=True):
        assert one.plan is None or participants_of(one.plan) == subset
    assert (best.score is None) == (not scores)
    if scores:
        assert min(scores) == pytest.approx(best.score, rel=1e-12)


@pytest.mark.parametrize("solver", ["local_search", "annealing", "genetic"])
def test_searches_find_plans_that_everybody_is_in(solver: str) -> None:
    """Alone the fastest board is best over these links; searches must get away from it."""
    boards = {
        "name": "c",
        "devices": [
            {"name": f"d{i}", "flop_per_s": {"fp32": 1e9 * (i + 1)}, "memory_bytes": 1e9} for i in range(3)
        ],
        "segments": [{"name": "net", "members": ["d0", "d1", "d2"], "bandwidth_bytes_per_s": 1e3}],
    }
    asked = replace(problem(), cluster=type(problem().cluster).model_validate(boards))
    free = solve(asked, solver, work_limit=40)
    forced = solve(replace(asked, all_take_part=True), solver, work_limit=40)
    assert free.plan is not None and participants_of(free.plan) == {"d2"}
    assert forced.plan is not None and participants_of(forced.plan) == {"d0", "d1", "d2"}
    assert forced.score > free.score


CHAIN = workload(block("a", 1, 2, output_bytes=5), block("b", 1, 2))
HALF = cluster(device("x", carbon_g_per_kwh=400), "y", "z")


def asked(**words: Any) -> Problem:
    job = {"batch": 4, **words.pop("job", {})}
    return Problem(CHAIN, words.pop("boards", HALF), Job.model_validate(job), **words)


@pytest.mark.parametrize(
    ("words", "where"),
    [
        ({"objective": "carbon"}, "objective"),
        ({"objective": "weighted", "weights": {"time": 1, "carbon": 2}}, "weights"),
        ({"at_most": {"carbon": 1.0}}, "at_most"),
        ({"job": {"carbon_budget_g": 1.0}}, "job.carbon_budget_g"),
    ],
)
def test_grams_that_are_not_known_of_every_device_decide_nothing(words: dict[str, Any], where: str) -> None:
    with pytest.raises(InputError, match="no carbon_g_per_kwh of y, z") as caught:
        asked(**words)
    assert [fault.path for fault in caught.value.faults] == [where]


def test_untrusted_bytes_cannot_be_minimised_where_all_are_trusted_alike() -> None:
    with pytest.raises(InputError, match="trusted alike"):
        asked(objective="untrusted")
    assert asked(at_most={"untrusted": 0.0}).at_most == {"untrusted": 0.0}


def test_they_can_where_the_cluster_gives_them() -> None:
    words = {"carbon_g_per_kwh": 400}
    boards = cluster(device("x", trust=1, **words), device("y", **words))
    assert asked(boards=boards, objective="carbon").objective == "carbon"
    assert asked(boards=boards, objective="untrusted").objective == "untrusted"


def test_batches_of_any_size_have_their_micro_batch_counts_at_once() -> None:
    def counts(batch: int) -> tuple[int, ...]:
        return replace(problem(), job=Job(batch=batch), num_micro_batches=None).micro_batch_counts

    assert counts(999_999_937) == (1,)
    assert counts(2**29) == tuple(2**k for k in range(22))
    with pytest.raises(InputError, match="less than or equal to 1000000000"):
        validate(Job, {"batch": 10**20}, "job")
