"""Splits become plans with few stages, and plans splits."""

from __future__ import annotations

from models.workload import Workload
from solver.check import check
from solver.job import Job
from solver.placement import Placement
from solver.problem import Problem
from solver.split import split_of, split_plan
from tests.algorithms.boards import boards


def problem(edges: str, placement: Placement | None = None) -> Problem:
    """Blocks and edges as ``ab bc``."""
    pairs = edges.split()
    names = sorted(set("".join(pairs)))
    workload = Workload.model_validate(
        {
            "name": "dag",
            "blocks": [{"name": name, "forward_flop": 1} for name in names],
            "edges": [{"source": a, "target": b} for a, b in pairs],
        }
    )
    job = Job(kind="serve", batch=1)
    return Problem(workload, boards(1, 1), job, num_micro_batches=1, placement=placement)


def stages(what: Problem, placed: dict[str, str]) -> list[tuple[str, str]]:
    plan = split_plan(what, placed)
    check(plan, what.workload, what.cluster)
    assert split_of(plan) == placed
    return [("".join(stage.blocks), *stage.shares) for stage in plan.pipelines[0].stages]


def test_a_set_that_is_not_convex_becomes_several_stages() -> None:
    placed = {"a": "x0", "b": "x1", "c": "x0", "d": "x1"}
    assert stages(problem("ab bc cd"), placed) == [("a", "x0"), ("b", "x1"), ("c", "x0"), ("d", "x1")]


def test_sets_without_cycles_between_them_are_one_stage_each() -> None:
    # a, b and c may all start; x1 cannot finish before x0 has.
    placed = {"a": "x1", "b": "x0", "c": "x0", "d": "x0", "e": "x1", "f": "x1"}
    assert stages(problem("ae bd cd de ef"), placed) == [("bcd", "x0"), ("aef", "x1")]


def test_blocks_on_a_kind_that_stands_for_many_are_a_stage_each() -> None:
    what = problem("ab ac", Placement(convex=frozenset("abc"), apart=frozenset({""})))
    placed = dict.fromkeys("abc", "x0")
    assert stages(what, placed) == [("a", "x0"), ("b", "x0"), ("c", "x0")]
    assert all(s.instances == {"x0": 1} for s in split_plan(what, placed).pipelines[0].stages)
