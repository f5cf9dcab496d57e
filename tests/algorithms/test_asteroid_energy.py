"""The energy-aware follow-up of Asteroid: its score by hand, what its weights do, and what it leaves out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from models.cluster import Cluster
from models.quantity import Quantity
from solver.job import Job
from solver.problem import Problem
from solver.search.incumbent import Search
from solver.search.literature.energy_belief import believed
from solver.search.literature.energy_dp import EnergyTable, Part
from solver.search.literature.group_tables import group_tables
from solver.solve import solve
from solver.status import Status
from tests.algorithms.boards import boards, chain


def powered(cluster: Cluster) -> Cluster:
    """The first board computes at 20 W, the others at 5 W; all idle at 2 W and send at 1 W."""
    watts = {"idle_w": Quantity(value=2), "radio_w": Quantity(value=1)}
    return cluster.with_devices(
        device.model_copy(update={**watts, "busy_w": Quantity(value=20 if d == 0 else 5)})
        for d, device in enumerate(cluster.devices)
    )


def what(num_micro_batches: int = 4, deadline_s: float | None = None) -> Problem:
    """Four blocks of 1 Gflop forward on boards of 2 and 1 Gflop/s; 8 samples."""
    job = Job(batch=8, deadline_s=deadline_s)
    return Problem(chain(4), powered(boards(2, 1)), job, "energy", num_micro_batches=num_micro_batches)


def table(problem: Problem, **words: float) -> EnergyTable:
    return EnergyTable(group_tables(problem), Search(problem), **words)


def test_the_step_is_the_slowest_step_for_all_micro_batches_and_what_is_before_it() -> None:
    part = Part(forward_s=(1, 0.5, 2), passes_s=(3, 1, 5))
    assert part.step_s(4) == 4 * 5 + 3 + 1
    assert Part(forward_s=(2, 0.5, 1), passes_s=(5, 1, 3)).step_s(4) == 20


def test_energy_is_power_while_computing_with_backward_passes_of_175_percent() -> None:
    """One stage on both boards: of 2 samples the fast one computes both or one; 4 micro-batches."""
    found = [part for part in table(what(), alpha=0.0).found if len(part.stages) == 1]
    joules = {shares: 0.0 for part in found for *_, shares in part.stages}
    assert joules
    for part in found:
        ((_, _, shares),) = part.stages
        seconds = {v: 4 * n * 4 / (2, 1)[v] for v, n in shares}
        assert part.energy_j == pytest.approx(2.75 * sum((20, 5)[v] * s for v, s in seconds.items()))


def test_alpha_weighs_distance_from_the_deadline_on_either_side_against_energy() -> None:
    problem = what(deadline_s=40)
    (fast, thrifty) = (table(problem, alpha=alpha).found[0] for alpha in (1.0, 0.0))
    assert abs(fast.step_s(4) - 40) <= abs(thrifty.step_s(4) - 40)
    assert thrifty.energy_j <= fast.energy_j
    scored = table(problem, alpha=0.25)
    part = scored.found[0]
    assert scored.score(part) == 0.25 * abs(part.step_s(4) - 40) + 0.75 * part.energy_j


def test_there_are_no_more_stages_than_half_the_micro_batches() -> None:
    assert table(what(2)).most_stages == 1
    assert table(what(4)).most_stages == 2


def test_the_plan_is_judged_by_the_evaluator() -> None:
    solution = solve(what(), "asteroid_energy")
    assert solution.status is Status.FEASIBLE and solution.report is not None
    assert solution.score == solution.report.energy_j


def test_its_own_account_leaves_out_radio_and_waiting() -> None:
    problem = what()
    found = believed(problem, Search(problem), alpha=0.0)
    assert found is not None
    radios = found.chosen.report.traffic_bytes > 0
    assert (found.chosen.radio_j > 0) is radios and found.chosen.waiting_j > 0
    assert found.scores == (found.chosen.report.energy_j, found.informed.report.energy_j)
    assert found.scores[1] <= found.scores[0]


def test_time_is_not_its_objective() -> None:
    assert solve(replace(what(), objective="time"), "asteroid_energy").status is Status.DECLINED
