"""Packed polish: it ends at a plan that no single move improves; its moves keep plans sound."""

from __future__ import annotations

import pytest

from solver.check import check
from solver.evaluate import judge
from solver.plan import Stage, pipeline_plan
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.packed.points import from_plan, to_plan
from solver.search.packed.polish import neighbours, polish
from solver.search.packed.start import Ground
from tests.algorithms.boards import boards, problem

FREE = problem(boards(1, 3, 2), num_micro_batches=4, in_flight="free")


def search_of(what: Problem, first: dict[str, int], second: dict[str, int], cut: int = 1) -> Search:
    search = Search(what, work_limit=10_000)
    order = what.workload.order
    stages = [Stage(blocks=order[:cut], shares=dict(first)), Stage(blocks=order[cut:], shares=dict(second))]
    search.offer(pipeline_plan(what, stages, 8 // sum(first.values())))
    return search


def test_every_neighbour_is_a_sound_plan_that_differs() -> None:
    search = search_of(FREE, {"x0": 1, "x2": 1}, {"x1": 2}, cut=2)
    ground = Ground(FREE, search)
    assert search.best_plan is not None
    point = from_plan(FREE, search.best_plan, ground.counts, ground.num_stages)
    assert point is not None
    near = neighbours(ground, point)
    plans = [to_plan(FREE, near, b, ground.counts) for b in range(len(near.choice))]
    for plan in plans:
        check(plan, FREE.workload, FREE.cluster)
    assert search.best_plan not in plans
    # Cuts at 1 and 3, either device of the first stage alone, a merge, and a device elsewhere.
    assert {len(plan.pipelines[0].stages) for plan in plans} == {1, 2}
    cuts = {len(plan.pipelines[0].stages[0].blocks) for plan in plans}
    assert cuts == {1, 2, 3, 4}
    assert {stage.in_flight for plan in plans for stage in plan.pipelines[0].stages} == {None}


def test_caps_of_neighbours_never_grow_and_all_are_reached() -> None:
    """Four micro-batches, two stages: 3 and 1 by rule."""
    search = search_of(FREE, {"x0": 1, "x2": 1}, {"x1": 2}, cut=2)
    ground = Ground(FREE, search)
    assert search.best_plan is not None
    point = from_plan(FREE, search.best_plan, ground.counts, ground.num_stages)
    assert point is not None
    caps = neighbours(ground, point, of_caps=True).caps[:, :2]
    assert (caps[:, 0] >= caps[:, 1]).all()
    assert {(1, 1), (2, 1), (4, 1), (3, 2), (3, 3)} <= {tuple(pair) for pair in caps.tolist()}


def test_a_cut_in_the_wrong_place_is_mended() -> None:
    """Equal boards and links that hardly count: two blocks each are the best pipeline of two stages, one
    micro-batch of 2 samples after the other; sharing samples instead is no worse."""
    what = problem(boards(1, 1), num_micro_batches=4)
    search = search_of(what, {"x0": 2}, {"x1": 2}, cut=1)
    before = search.best_score
    polish(what, search)
    assert search.best_plan is not None and search.best_score < before
    assert search.best_score == pytest.approx(32.0, rel=1e-6)
    assert judge(what, search.best_plan)[1] == search.best_score


def test_a_plan_of_another_kind_is_left_alone() -> None:
    what = problem(boards(1, 1))
    search = Search(what)
    polish(what, search)
    assert search.best_plan is None
